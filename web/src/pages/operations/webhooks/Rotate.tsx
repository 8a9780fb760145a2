import { Alert, Button, CloseButton, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";
import { bodyOf, secretName, SECRETS_MAX, wishOf, type Webhook } from "./wish";
import { useWork } from "~/shared/work";

/** One secret takes another's place without an event that the receiver can't verify: both sign until the old one is dropped. Values are never here. */
export function Rotate({ of: hook, close }: { of: Webhook; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const { busy, error, run } = useWork();
  const secrets = hook.secrets.map(secretName);
  const sign = (next: string[]) =>
    run(async () => {
      await send("PUT", `/webhooks/${encodeURIComponent(hook.name)}`, bodyOf({ ...wishOf(hook), secrets: next }, false));
      await client.invalidateQueries({ queryKey: ["/webhooks"] });
      setName("");
    });
  const fresh = name.trim();
  const add = () => void sign([...secrets, fresh]);
  return (
    <Modal opened onClose={close} title={t("hooks.rotate.title", { name: hook.name })}>
      <Stack>
        <Alert color={secrets.length > 1 ? "yellow" : "blue"} variant="light">
          <Text size="sm">{t(secrets.length > 1 ? "hooks.rotate.both" : "hooks.rotate.what")}</Text>
        </Alert>
        <Stack gap={4} component="ul" p={0} m={0} style={{ listStyle: "none" }} aria-label={t("hooks.secrets")}>
          {secrets.map((s) => (
            <Group key={s} component="li" justify="space-between" wrap="nowrap">
              <code style={{ overflowWrap: "anywhere" }}>{s}</code>
              {secrets.length > 1 && <CloseButton size="sm" disabled={busy} aria-label={t("hooks.rotate.drop", { name: s })} onClick={() => void sign(secrets.filter((x) => x !== s))} />}
            </Group>
          ))}
        </Stack>
        {secrets.length < SECRETS_MAX && (
          <Group align="end" gap="xs" wrap="nowrap">
            <TextInput style={{ flex: 1 }} label={t("hooks.rotate.new")} value={name} onChange={(e) => setName(e.currentTarget.value)} onKeyDown={(e) => e.key === "Enter" && fresh && !secrets.includes(fresh) && add()} data-autofocus maxLength={200} />
            <Button loading={busy} disabled={!fresh || secrets.includes(fresh)} onClick={add}>
              {t("hooks.rotate.add")}
            </Button>
          </Group>
        )}
        {error !== undefined && <Failed error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t("dialog.close")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
