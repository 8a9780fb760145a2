import { Alert, Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { send } from "~/api/client";
import { useDiagram } from "~/api/source";
import type { Definition } from "~/api/types";
import { useText } from "~/i18n";
import { formRef, type FormRef } from "~/shared/form/schema";
import { Values, type ValuesHandle } from "~/shared/form/Values";
import { Failed, Waiting } from "~/shared/states";

/** The form of the process's plain start event, if it names one. */
export function startForm(xml: string, process: string): FormRef | undefined {
  const doc = new DOMParser().parseFromString(xml, "text/xml");
  const own = [...doc.getElementsByTagNameNS("*", "process")].find((p) => p.getAttribute("id") === process);
  const starts = [...(own?.children ?? [])].filter((e) => e.localName === "startEvent" && ![...e.children].some((c) => c.localName.endsWith("EventDefinition")));
  for (const start of starts) {
    const said = start.getElementsByTagNameNS("*", "formDefinition")[0];
    if (said) return formRef(Object.fromEntries(["formId", "formKey", "bindingType", "versionTag", "externalReference"].map((k) => [k, said.getAttribute(k)]).filter(([, v]) => v)));
  }
  return undefined;
}

/** Start with the form of the start event, or with JSON; the server checks it again. */
export function StartDialog({ definition, opened, close }: { definition: Definition; opened: boolean; close: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const client = useQueryClient();
  const source = useDiagram(definition.key);
  const handle = useRef<ValuesHandle>(null);
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const form = useMemo(() => (source.data ? startForm(source.data, definition.definition_id) : undefined), [source.data, definition.definition_id]);
  const go = async () => {
    setError(undefined);
    const variables = handle.current?.take();
    if (!variables) return; // the field says it
    setBusy(true);
    try {
      const made = await send("POST", "/instances", { definition: definition.key, variables, ...(key ? { business_key: key } : {}) });
      await client.invalidateQueries({ queryKey: ["/instances"] });
      notifications.show({ message: t("process.started", { id: made.id }), color: "teal" });
      close();
      void navigate({ to: "/instances/$id", params: { id: made.id } });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={close} title={t("process.start.title", { name: definition.name || definition.definition_id })} size="lg">
      <Stack>
        <TextInput label={t("col.key")} value={key} onChange={(e) => setKey(e.currentTarget.value)} maxLength={255} />
        {source.isPending ? <Waiting /> : <Values form={form} definition={definition.key} data={{}} handle={handle} label={t("process.start.variables")} autoFocus />}
        {error !== undefined && <Failed error={error} />}
        {definition.status !== "published" && <Alert color="yellow">{t("process.start.unpublished")}</Alert>}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t("cancel")}
          </Button>
          <Button onClick={() => void go()} loading={busy}>
            {t("process.start")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
