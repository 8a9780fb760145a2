import { Alert, Button, Code, Group, JsonInput, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { send } from "~/api/client";
import type { TriggerTried } from "~/api/types";
import { useText } from "~/i18n";
import { objectOf } from "~/shared/Json";
import { Failed } from "~/shared/states";
import { When } from "~/shared/time";
import type { Trigger } from "./Triggers";

/** What an item would do, by the version that is in force. Nothing is done. */
export function Try({ of: trigger, close }: { of: Trigger; close: () => void }) {
  const t = useText();
  const scheduled = trigger.source === "schedule";
  const [context, setContext] = useState(trigger.sample == null ? '{"payload": {}}' : JSON.stringify(trigger.sample, null, 2));
  const [at, setAt] = useState("");
  const [said, setSaid] = useState<TriggerTried>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const payload = objectOf(context);
  const ask = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const body = scheduled ? { at: at ? new Date(at).toISOString() : "" } : { context: payload };
      setSaid((await send("POST", `/triggers/${encodeURIComponent(trigger.name)}/test` as `/triggers/${string}/test`, body as never)) as TriggerTried);
    } catch (e) {
      setSaid(undefined);
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={close} title={t("triggers.try.title", { name: trigger.name })} size="lg">
      <Stack>
        <Text size="sm">{t("triggers.try.what")}</Text>
        {scheduled ? (
          <TextInput type="datetime-local" label={t("triggers.try.at")} description={t("triggers.try.at.hint")} value={at} onChange={(e) => setAt(e.currentTarget.value)} data-autofocus />
        ) : (
          <JsonInput label={t("triggers.try.context")} value={context} onChange={setContext} autosize minRows={6} maxRows={18} validationError={t("process.start.invalid")} data-autofocus />
        )}
        {error !== undefined && <Failed error={error} />}
        {said && (
          <Alert color={said.outcome === "parked" ? "red" : said.outcome === "filtered" ? "gray" : "teal"} variant="light" title={t(`triggers.would.${said.outcome}`)} role="status">
            {said.reason && <Text size="sm">{[said.code, said.reason].filter(Boolean).join(": ")}</Text>}
            {said.key && <Text size="sm">{t("triggers.would.key", { key: said.key })}</Text>}
            {said.command != null && (
              <Code block mt={4} tabIndex={0} style={{ maxHeight: 220, overflow: "auto", whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
                {JSON.stringify(said.command, null, 2)}
              </Code>
            )}
            {said.coming.length > 0 && (
              <Text size="sm" mt={4} component="div">
                {t("triggers.would.coming")}
                {said.coming.map((time) => (
                  <div key={time}>
                    <When at={time} />
                  </div>
                ))}
              </Text>
            )}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t("dialog.close")}
          </Button>
          <Button loading={busy} disabled={!scheduled && payload === null} onClick={() => void ask()}>
            {t("triggers.try")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
