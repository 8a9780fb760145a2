import { Alert, Button, Center, Divider, Group, Loader, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Fragment, useEffect, useLayoutEffect, useMemo, useRef, useState, type FormEvent, type ReactNode } from "react";
import { createPortal } from "react-dom";
import { ApiError, forget } from "~/api/client";
import { useSignIn } from "~/api/me";
import { endedAmid } from "~/api/who";
import { byLink, issuers, possible, signIn, whoAmI, whoAmIAtStart } from "~/api/session";
import { useText } from "~/i18n";
import { sentenceOf, useServerText } from "~/i18n/refusals";
import { useEmbedded, useToken } from "./embed";

/** The pages, for whoever is known to the server; for all others the door. A session that ends by itself takes nothing with it: pages stay as they are behind the door, unseen, until the same person is back. */
export function Door({ children }: { children: ReactNode }) {
  const me = useSignIn();
  const [away, setAway] = useState(false);
  const [link, setLink] = useState(linkOf);
  const framed = useEmbedded();
  const person = useRef("");
  if (me) person.current = me.name;
  const [run, setRun] = useState(0);
  useToken();
  useEffect(() => {
    let left = false;
    const ask = (who = whoAmI) =>
      who().catch(() => {
        if (left) return;
        setAway(true); // the pages say themselves that the server doesn't answer
        setTimeout(ask, 2000);
      });
    void ask(whoAmIAtStart);
    return () => {
      left = true;
    };
  }, []);
  if (me === undefined && !away)
    return (
      <Center mih="60vh" role="status">
        <Loader size="sm" />
      </Center>
    );
  const out = me === null || Boolean(link && me?.auth === "local");
  const waits = me === null && !link && person.current !== "" && endedAmid();
  const door = framed && me === null ? <Framed /> : <SignIn link={link} done={() => setLink("")} whose={waits ? person.current : ""} other={() => setRun(run + 1)} />;
  return (
    <>
      {(!out || waits) && <Fragment key={`${person.current} ${run}`}>{children}</Fragment>}
      {out && (waits ? <Before>{door}</Before> : door)}
    </>
  );
}

/** Before all that is open, its dialogs too: neither seen nor reached meanwhile. */
function Before({ children }: { children: ReactNode }) {
  useLayoutEffect(() => {
    document.body.classList.add("fl-out");
    return () => document.body.classList.remove("fl-out");
  }, []);
  return createPortal(<div className="fl-door">{children}</div>, document.body);
}

/** In a frame nobody types a password: the page around says who looks. */
function Framed() {
  const t = useText();
  return (
    <Center mih="60vh" role="status">
      <Stack align="center" gap="xs">
        <Loader size="sm" />
        <Text c="dimmed" size="sm">
          {t("embed.wanted")}
        </Text>
      </Stack>
    </Center>
  );
}

/** What stands behind the # of a one-time link: it never goes to the server by itself. */
const linkOf = () => (location.pathname === "/sign-in" ? location.hash.slice(1) : "");

const FAILURES = ["again", "refused", "taken", "away"] as const;

/** What became of a sign-in at an issuer, which comes back with a word when it came to nothing. */
function failureOf(t: ReturnType<typeof useText>): string {
  const word = location.pathname === "/sign-in" ? new URLSearchParams(location.search).get("failed") : null;
  const known = FAILURES.find((f) => f === word);
  return known ? t(`signin.failed.${known}`) : "";
}

/** The page that was asked for. */
const wanted = () => (location.pathname === "/sign-in" ? "/" : location.pathname + location.search + location.hash);

/** `whose`: pages wait behind the door for that person; `other`: another one comes, and must not see them. */
function SignIn({ link, done, whose, other }: { link: string; done: () => void; whose: string; other: () => void }) {
  const t = useText();
  const say = useServerText();
  const client = useQueryClient();
  const [name, setName] = useState(whose);
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(() => failureOf(t));
  const passkeys = useMemo(possible, []);
  const others = useQuery({ queryKey: ["issuers"], queryFn: issuers, enabled: !link });
  /** By a form the password, else a passkey. */
  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    if (link && password !== again) return setFailed(t("signin.differ"));
    setBusy(true);
    setFailed("");
    try {
      const same = whose !== "" && event !== undefined && name.trim() === whose;
      if (!same) {
        client.clear();
        forget();
        other();
      }
      await (!event ? (await import("~/api/passkeys")).signIn() : link ? byLink(link, password) : signIn(name.trim(), password));
      if (location.pathname === "/sign-in") location.replace("/");
      if (same) void client.invalidateQueries();
      done();
    } catch (e) {
      const code = e instanceof ApiError ? e.problem.code : "";
      setFailed(code === "NO_COOKIE" ? t("signin.nocookie") : code === "UNAUTHENTICATED" && !link ? t(event ? "signin.wrong" : "signin.passkey.wrong") : !event && !(e instanceof ApiError) ? t("signin.passkey.none") : say(sentenceOf(e)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Center component="main" mih="80vh" p="md">
      <Paper withBorder p="lg" w={380} component="form" onSubmit={(e) => void submit(e)} aria-label={t("signin.title")}>
        <Stack>
          <Group gap="xs">
            <img src="/console/icon.svg" width={24} height={24} alt="" />
            <Text fw={650}>Flowledger</Text>
          </Group>
          <Title order={1} size="h3">
            {t(link ? "signin.choose" : "signin.title")}
          </Title>
          {whose && (
            <Text size="sm" c="dimmed">
              {t("signin.ended")}
            </Text>
          )}
          {!link && <TextInput label={t("signin.name")} autoComplete="username" value={name} maxLength={100} onChange={(e) => setName(e.currentTarget.value)} required withAsterisk={false} autoFocus={!whose} />}
          <PasswordInput autoFocus={whose !== ""} label={t("signin.password")} description={link ? t("signin.rule") : undefined} autoComplete={link ? "new-password" : "current-password"} value={password} maxLength={256} minLength={link ? 12 : undefined} onChange={(e) => setPassword(e.currentTarget.value)} required withAsterisk={false} />
          {link && <PasswordInput label={t("signin.again")} autoComplete="new-password" value={again} maxLength={256} onChange={(e) => setAgain(e.currentTarget.value)} required withAsterisk={false} />}
          {failed && (
            <Alert color="red" variant="light" role="alert">
              <Text size="sm">{failed}</Text>
            </Alert>
          )}
          <Button type="submit" loading={busy}>
            {t(link ? "signin.set" : "signin.go")}
          </Button>
          {!link && passkeys && (
            <Button variant="default" loading={busy} onClick={() => void submit()}>
              {t("signin.passkey")}
            </Button>
          )}
          {!!others.data?.length && <Divider label={t("signin.or")} />}
          {others.data?.map((i) => (
            <Button key={i.name} component="a" variant="default" href={`/oidc/${i.name}?${new URLSearchParams({ to: wanted() })}`}>
              {t("signin.at", { name: i.title || i.name })}
            </Button>
          ))}
        </Stack>
      </Paper>
    </Center>
  );
}
