import { Badge, Button, Group, MultiSelect, NumberInput, Table, TextInput, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useMay, useSignIn } from "~/api/me";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Once } from "~/shared/Once";
import { Wide } from "~/shared/Wide";
import { useRoles } from "./Users";

type Key = RowOf<"/api-keys">;
const over = (k: Key) => (k.revoked_at ? "revoked" : k.expires_at && new Date(k.expires_at) <= new Date() ? "expired" : undefined);

/** API keys of programs, and one's own. The key itself is shown once. */
export function Keys() {
  const t = useText();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [revoked, setRevoked] = useState<Key>();
  const [made, setMade] = useState<{ name: string; key: string }>();
  const keys = useQuery({ queryKey: ["api-keys"], queryFn: ({ signal }) => get("/api-keys", { limit: 1000 }, signal) });
  const again = () => client.invalidateQueries({ queryKey: ["api-keys"] });
  return (
    <>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{t("operations.keys")}</Title>
        <Button size="xs" onClick={() => setMaking(true)}>
          {t("keys.make")}
        </Button>
      </Group>
      <Answer of={keys} empty={(p) => p.items.length === 0 && <Empty title={t("keys.none")}>{t("keys.none.hint")}</Empty>}>
        {(p) => (
          <Wide minWidth={720}>
            <Table verticalSpacing={4} aria-label={t("operations.keys")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("signin.name")}</Table.Th>
                  <Table.Th>{t("keys.actor")}</Table.Th>
                  <Table.Th>{t("users.roles")}</Table.Th>
                  <Table.Th>{t("keys.until")}</Table.Th>
                  <Table.Th>{t("keys.used")}</Table.Th>
                  <Table.Th />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {p.items.map((k) => (
                  <Table.Tr key={k.id}>
                    <Table.Td>
                      <Group gap={6}>
                        {k.name}
                        {over(k) && <Badge color="gray" variant="light">{t(`keys.${over(k)!}`)}</Badge>}
                      </Group>
                    </Table.Td>
                    <Table.Td>{k.actor}</Table.Td>
                    <Table.Td>{k.roles.join(", ")}</Table.Td>
                    <Table.Td>{k.expires_at ? <When at={k.expires_at} /> : "–"}</Table.Td>
                    <Table.Td>{k.used_at ? <When at={k.used_at} /> : "–"}</Table.Td>
                    <Table.Td ta="right">
                      {!over(k) && (
                        <Button size="compact-xs" variant="subtle" color="red" aria-label={t("keys.revoke.of", { name: k.name })} onClick={() => setRevoked(k)}>
                          {t("keys.revoke")}
                        </Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Answer>
      {making && (
        <Make
          close={() => setMaking(false)}
          go={async (body) => {
            setMade(await send("POST", "/api-keys", body));
            await again();
          }}
        />
      )}
      {revoked && (
        <Ask
          title={t("keys.revoke")}
          what={t("keys.revoke.what", { name: revoked.name })}
          danger
          reason={false}
          close={() => setRevoked(undefined)}
          go={async () => {
            await send("DELETE", `/api-keys/${revoked.id}`);
            await again();
          }}
        />
      )}
      {made && <Once title={t("keys.made", { name: made.name })} what={t("keys.made.what")} text={made.key} close={() => setMade(undefined)} />}
    </>
  );
}

interface Wish {
  name: string;
  roles: string[];
  actor: string;
  days: number;
}

function Make({ close, go }: { close: () => void; go: (wish: Wish) => Promise<unknown> }) {
  const t = useText();
  const me = useSignIn();
  const others = useMay("accounts");
  const known = useRoles();
  const [name, setName] = useState("");
  const [actor, setActor] = useState("");
  const [roles, setRoles] = useState<string[]>([]);
  const [days, setDays] = useState(90);
  return (
    <Ask title={t("keys.make")} what={t("keys.make.what")} reason={false} ready={!!name.trim() && roles.length > 0 && days > 0} close={close} go={() => go({ name: name.trim(), roles, actor: actor.trim(), days })}>
      <TextInput label={t("signin.name")} description={t("keys.name.hint")} value={name} maxLength={200} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      {others && <TextInput label={t("keys.actor")} description={t("keys.actor.hint")} placeholder={me?.name} value={actor} maxLength={100} onChange={(e) => setActor(e.currentTarget.value)} />}
      <MultiSelect searchable label={t("users.roles")} data={known} value={roles} onChange={setRoles} />
      <NumberInput label={t("keys.days")} value={days} onChange={(d) => setDays(Number(d))} min={1} max={3660} />
    </Ask>
  );
}
