import { Badge, Button, Group, Menu, MultiSelect, Table, TagsInput, TextInput, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Once } from "~/shared/Once";
import { Wide } from "~/shared/Wide";

type User = RowOf<"/users">;
type Deed = "reset" | "suspend" | "resume" | "remove";
type Step = { do: "make" } | { do: "change"; user: User } | { do: Deed; user: User };

export const useRoles = () => useQuery({ queryKey: ["roles"], queryFn: ({ signal }) => get("/roles", {}, signal), staleTime: 600_000 }).data?.items.map((r) => r.name) ?? [];

/** Who may come in, and as what. A link by which somebody chooses a password is shown once. */
export function Users() {
  const t = useText();
  const may = useMay("accounts");
  const client = useQueryClient();
  const [step, setStep] = useState<Step>();
  const [link, setLink] = useState<{ name: string; link: string }>();
  const users = useQuery({ queryKey: ["users"], queryFn: ({ signal }) => get("/users", { limit: 1000 }, signal) });
  const again = () => client.invalidateQueries({ queryKey: ["users"] });
  const done = async (change: Promise<unknown>) => {
    const answer = (await change) as { name?: string; link?: string } | undefined;
    if (answer?.link) setLink({ name: answer.name!, link: location.origin + answer.link });
    await again();
  };
  return (
    <>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{t("operations.users")}</Title>
        {may && (
          <Button size="xs" onClick={() => setStep({ do: "make" })}>
            {t("users.make")}
          </Button>
        )}
      </Group>
      <Answer of={users} empty={(p) => p.items.length === 0 && <Empty title={t("users.none")} />}>
        {(p) => (
          <Wide minWidth={640}>
            <Table verticalSpacing={4} aria-label={t("operations.users")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("signin.name")}</Table.Th>
                  <Table.Th>{t("users.roles")}</Table.Th>
                  <Table.Th>{t("users.tenants")}</Table.Th>
                  <Table.Th>{t("users.last")}</Table.Th>
                  <Table.Th />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {p.items.map((u) => (
                  <Table.Tr key={u.name}>
                    <Table.Td>
                      <Group gap={6}>
                        {u.name}
                        {!u.active && <Badge color="red" variant="light">{t("users.suspended")}</Badge>}
                        {u.locked && <Badge color="orange" variant="light">{t("users.locked")}</Badge>}
                        {!u.password && <Badge color="gray" variant="light">{t("users.nopassword")}</Badge>}
                      </Group>
                    </Table.Td>
                    <Table.Td>{u.roles.join(", ") || "–"}</Table.Td>
                    <Table.Td>{tenantsText(u.tenants, t("users.notenant"))}</Table.Td>
                    <Table.Td>{u.signed_in_at ? <When at={u.signed_in_at} /> : "–"}</Table.Td>
                    <Table.Td ta="right">{may && <Actions user={u} choose={setStep} />}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Answer>
      {step?.do === "make" && <Edit close={() => setStep(undefined)} go={(name, roles, tenants) => done(send("POST", "/users", { name, roles, tenants }))} />}
      {step?.do === "change" && <Edit user={step.user} close={() => setStep(undefined)} go={(name, roles, tenants) => done(send("PATCH", `/users/${encodeURIComponent(name)}`, { roles, tenants }))} />}
      {step && step.do !== "make" && step.do !== "change" && (
        <Ask title={t(`users.${step.do}`)} what={t(`users.${step.do}.what`, { name: step.user.name })} danger={step.do !== "resume"} reason={false} close={() => setStep(undefined)} go={() => done(act(step.do, step.user.name))} />
      )}
      {link && <Once title={t("users.link", { name: link.name })} what={t("users.link.what")} text={link.link} close={() => setLink(undefined)} />}
    </>
  );
}

const tenantsText = (tenants: string[], none: string) => tenants.map((x) => x || none).join(", ") || "–";

function act(what: Deed, name: string): Promise<unknown> {
  const path = `/users/${encodeURIComponent(name)}` as const;
  if (what === "reset") return send("POST", `${path}/reset`);
  if (what === "remove") return send("DELETE", path);
  return send("PATCH", path, { active: what === "resume" });
}

function Actions({ user, choose }: { user: User; choose: (step: Step) => void }) {
  const t = useText();
  const steps = ["change", "reset", user.active ? "suspend" : "resume", "remove"] as const;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button size="compact-xs" variant="subtle" aria-label={t("users.actions", { name: user.name })}>
          {t("users.do")}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {steps.map((s) => (
          <Menu.Item key={s} className={s === "remove" ? "fl-danger" : undefined} onClick={() => choose({ do: s, user } as Step)}>
            {t(`users.${s}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** A new user, or another's roles and tenants. */
function Edit({ user, close, go }: { user?: User; close: () => void; go: (name: string, roles: string[], tenants: string[]) => Promise<unknown> }) {
  const t = useText();
  const known = useRoles();
  const [name, setName] = useState(user?.name ?? "");
  const [roles, setRoles] = useState<string[]>(user?.roles ?? []);
  const [tenants, setTenants] = useState<string[]>((user?.tenants ?? [""]).filter(Boolean));
  const ofNone = !user || user.tenants.includes("");
  const title = t(user ? "users.change" : "users.make");
  return (
    <Ask title={title} what={t(user ? "users.change.what" : "users.make.what", { name })} reason={false} ready={/^[A-Za-z0-9][A-Za-z0-9._@+-]*$/.test(name)} close={close} go={() => go(name, roles, [...(ofNone || !tenants.length ? [""] : []), ...tenants])}>
      {!user && <TextInput label={t("signin.name")} value={name} maxLength={100} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />}
      <MultiSelect searchable label={t("users.roles")} data={known} value={roles} onChange={setRoles} comboboxProps={{ withinPortal: true }} />
      <TagsInput label={t("users.tenants")} description={t("users.tenants.hint")} value={tenants} onChange={setTenants} />
    </Ask>
  );
}
