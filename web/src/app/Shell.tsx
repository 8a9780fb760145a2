import { ActionIcon, AppShell, Badge, Box, Burger, Button, Group, Menu, NavLink, ScrollArea, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { useApprovals } from "~/api/approvals";
import { signedIn, useMay, useMe, useSignIn } from "~/api/me";
import { signOut } from "~/api/session";
import { languages, useLanguage, useText } from "~/i18n";
import { Icon, type IconName } from "~/shared/icons";
import { NameForm } from "~/shared/NameForm";
import { Freshness } from "~/shared/Freshness";
import { keepFocus } from "./focus";
import { useEmbedded, usePlace } from "./embed";
import { Notices } from "./Notices";

const pages: { to: string; icon: IconName; text: `nav.${string}` }[] = [
  { to: "/", icon: "home", text: "nav.home" },
  { to: "/tasks", icon: "tasks", text: "nav.tasks" },
  { to: "/processes", icon: "process", text: "nav.processes" },
  { to: "/instances", icon: "instances", text: "nav.instances" },
  { to: "/designer", icon: "designer", text: "nav.designer" },
  { to: "/decisions", icon: "decisions", text: "nav.decisions" },
  { to: "/operations", icon: "operations", text: "nav.operations" },
  { to: "/insight", icon: "insight", text: "nav.insight" },
  { to: "/approvals", icon: "approvals", text: "nav.approvals" },
  { to: "/api", icon: "api", text: "nav.api" },
];

export function Shell() {
  const t = useText();
  const [open, { toggle, close }] = useDisclosure(false);
  const path = useRouterState({ select: (s) => s.location.pathname });
  const framed = useEmbedded();
  usePlace(useRouterState({ select: (s) => s.location.href }));
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  const hidden = { "/designer": !useMay("author"), "/decisions": !useMay("decisions"), "/operations": !useMay("workers"), "/insight": !useMay("insight"), "/approvals": !useSecond() } as Record<string, boolean>;
  const shown = pages.filter((p) => !hidden[p.to]);
  useEffect(keepFocus, []);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    close();
    main.current?.focus({ preventScroll: true }); // a new page is read from its start
  }, [path, close]);
  if (framed)
    return (
      <Box component="main" id="main" ref={main} tabIndex={-1} p="md" style={{ outline: "none" }}>
        <Group justify="flex-end" gap="xs">
          <Freshness />
        </Group>
        <Outlet />
        <Notices />
      </Box>
    );
  return (
    <AppShell header={{ height: 48 }} navbar={{ width: 208, breakpoint: "md", collapsed: { mobile: !open } }} padding="md">
      <a className="fl-skip" href="#main">
        {t("shell.skip")}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" gap="sm" wrap="nowrap">
          <Burger opened={open} onClick={toggle} hiddenFrom="md" size="sm" aria-label={t("shell.menu")} />
          <img src="/console/icon.svg" width={24} height={24} alt="" />
          <Text fw={650} size="md" visibleFrom="xs">
            Flowledger
          </Text>
          <Group ml="auto" gap="xs" wrap="nowrap">
            <Freshness />
            <Person />
            <LanguageMenu />
            <SchemeButton />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={t("shell.pages")}>
        <ScrollArea>
          {shown.map((p) => {
            const active = p.to === "/" ? path === "/" : path === p.to || path.startsWith(`${p.to}/`);
            return (
              <NavLink key={p.to} component={Link} to={p.to} label={t(p.text)} leftSection={<Icon name={p.icon} />} rightSection={p.to === "/approvals" && <ToApprove />} active={active} variant="light" aria-current={active ? "page" : undefined} />
            );
          })}
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="main" ref={main} tabIndex={-1} style={{ outline: "none" }}>
        <Outlet />
        <Notices />
      </AppShell.Main>
    </AppShell>
  );
}

/** The page is there where something needs a second person, and for who may see it. */
function useSecond(): boolean {
  return useMay("approvals") && (useSignIn()?.second_person?.length ?? 0) > 0;
}

/** How many wait for who looks: to be approved, or to be carried out. */
function ToApprove() {
  const t = useText();
  const { actor } = useMe();
  const decides = useMay("decide");
  const n = (useApprovals(true).data ?? []).filter((a) => (a.by === actor ? a.status === "approved" : decides && a.status === "waiting")).length;
  return n > 0 ? (
    <Badge size="sm" variant="light" color="orange" aria-label={t("approvals.count", { n })}>
      {n}
    </Badge>
  ) : null;
}

function Person() {
  const { actor } = useMe();
  const t = useText();
  const person = signedIn();
  if (person)
    return (
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button variant="subtle" color="gray" size="compact-md" fw={400} px={6} aria-label={t("shell.person", { name: actor })}>
            <Icon name="person" />
            <Text size="sm" visibleFrom="xs" maw={140} ml={4} className="fl-cut">
              {actor}
            </Text>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{person.roles.join(", ") || t("shell.noroles")}</Menu.Label>
          <Menu.Item component={Link} to="/account">
            {t("account.title")}
          </Menu.Item>
          <Menu.Item onClick={() => void signOut(false)}>{t("shell.signout")}</Menu.Item>
          <Menu.Item onClick={() => void signOut(true)}>{t("shell.signout.everywhere")}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    );
  return (
    <NameForm
      position="bottom-end"
      button={(toggle) => (
        <Button variant="subtle" color="gray" size="compact-md" fw={400} px={6} onClick={toggle} aria-label={t("shell.person", { name: actor || t("shell.nobody") })}>
          <Icon name="person" />
          <Text size="sm" visibleFrom="xs" maw={140} ml={4} className="fl-cut">
            {actor || t("shell.nobody")}
          </Text>
        </Button>
      )}
    />
  );
}

function LanguageMenu() {
  const { language, setLanguage } = useLanguage();
  const t = useText();
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`${t("shell.language")}: ${language}`}>
          <Text size="xs" fw={600} tt="uppercase">
            {language}
          </Text>
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {Object.entries(languages).map(([code, l]) => (
          <Menu.Item key={code} onClick={() => setLanguage(code)} lang={code}>
            {l.name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function SchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const t = useText();
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t(dark ? "shell.light" : "shell.dark")} onClick={() => setColorScheme(dark ? "light" : "dark")}>
      <Icon name={dark ? "sun" : "moon"} />
    </ActionIcon>
  );
}
