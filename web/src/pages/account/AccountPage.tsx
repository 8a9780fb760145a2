import { Alert, Button, Group, PasswordInput, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { signedIn, useSignIn } from "~/api/me";
import { add } from "~/api/passkeys";
import { possible } from "~/api/session";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer, Empty, PageHead } from "~/shared/states";
import { When } from "~/shared/time";

type Passkey = RowOf<"/me/passkeys">;

/** What is one's own: passkeys, by which one signs in and shows that it is oneself who asks. */
export function AccountPage() {
  const t = useText();
  const me = useSignIn();
  return (
    <>
      <PageHead title={t("account.title")}>{me && signedIn() ? t("account.what", { name: me.name }) : ""}</PageHead>
      {me && signedIn() ? <Passkeys /> : <Empty title={t("account.nobody")}>{t("account.nobody.hint")}</Empty>}
    </>
  );
}

function Passkeys() {
  const t = useText();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<Passkey>();
  const passkeys = useQuery({ queryKey: ["passkeys"], queryFn: ({ signal }) => get("/me/passkeys", {}, signal) });
  const again = () => client.invalidateQueries({ queryKey: ["passkeys"] });
  const here = possible();
  return (
    <>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{t("passkeys.title")}</Title>
        {here && (
          <Button size="xs" onClick={() => setAdding(true)} disabled={!passkeys.data}>
            {t("passkeys.add")}
          </Button>
        )}
      </Group>
      <Text size="sm" c="dimmed" mb="sm" maw={720}>
        {t("passkeys.what")}
      </Text>
      {!here && (
        <Alert variant="light" color="yellow" mb="sm">
          {t("passkeys.nothere", { url: `${location.protocol}//localhost:${location.port}` })}
        </Alert>
      )}
      <Answer of={passkeys} empty={(p) => p.items.length === 0 && <Empty title={t("passkeys.none")} />}>
        {(p) => (
          <Table.ScrollContainer minWidth={340}>
            <Table verticalSpacing={4} aria-label={t("passkeys.title")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("signin.name")}</Table.Th>
                  <Table.Th>{t("passkeys.added")}</Table.Th>
                  <Table.Th>{t("keys.used")}</Table.Th>
                  <Table.Th />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {p.items.map((k) => (
                  <Table.Tr key={k.id}>
                    <Table.Td>
                      {k.title}
                      <Text size="xs" c="dimmed">
                        {t("passkeys.site", { site: k.site })}
                      </Text>
                    </Table.Td>
                    <Table.Td>{k.created_at ? <When at={k.created_at} /> : "–"}</Table.Td>
                    <Table.Td>{k.used_at ? <When at={k.used_at} /> : "–"}</Table.Td>
                    <Table.Td ta="right">
                      <Button size="compact-xs" variant="subtle" color="red" aria-label={t("passkeys.remove.of", { name: k.title })} onClick={() => setRemoved(k)}>
                        {t("passkeys.remove")}
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Answer>
      {adding && (
        <Add
          first={passkeys.data?.items.length === 0 && signedIn()?.kind === "user"}
          close={() => setAdding(false)}
          go={async (title, password) => {
            await add(title, password);
            await again();
          }}
        />
      )}
      {removed && (
        <Ask
          title={t("passkeys.remove")}
          what={t("passkeys.remove.what", { name: removed.title })}
          danger
          reason={false}
          close={() => setRemoved(undefined)}
          go={async () => {
            await send("DELETE", `/me/passkeys/${removed.id}`);
            await again();
          }}
        />
      )}
    </>
  );
}

/** `first`: somebody with a password adds their first one, and gives the password; who has one shows it. */
function Add({ first, close, go }: { first: boolean; close: () => void; go: (title: string, password: string) => Promise<unknown> }) {
  const t = useText();
  const [title, setTitle] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Ask title={t("passkeys.add")} what={t(first ? "passkeys.add.first" : "passkeys.add.further")} reason={false} ready={title.trim() !== "" && (!first || password !== "")} close={close} go={() => go(title.trim(), password)}>
      <TextInput label={t("passkeys.name")} description={t("passkeys.name.hint")} value={title} maxLength={100} onChange={(e) => setTitle(e.currentTarget.value)} data-autofocus />
      {first && <PasswordInput label={t("signin.password")} autoComplete="current-password" value={password} maxLength={256} onChange={(e) => setPassword(e.currentTarget.value)} />}
    </Ask>
  );
}
