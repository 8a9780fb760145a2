import { Alert, Button, Code, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useApprovals } from "~/api/approvals";
import { digestOf, type Asked } from "~/api/second";
import { useText } from "~/i18n";
import { pretty } from "./One";

/** The ledger has no words of what waits, only their digest: who asks sends them along, and here they are held against it. */
export function Check() {
  const t = useText();
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const asked = askedOf(text);
  const rows = useApprovals(open).data ?? [];
  const digest = useQuery({ queryKey: ["digest", text], enabled: Boolean(asked), gcTime: 0, queryFn: () => digestOf(asked!) }).data;
  const found = digest ? rows.find((a) => a.digest === digest) : undefined;
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setOpen(true)}>
        {t("approvals.check")}
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={t("approvals.check")} size="lg">
        <Stack gap="sm">
          <Text size="sm">{t("approvals.check.what")}</Text>
          <Textarea label={t("approvals.check.text")} value={text} onChange={(e) => setText(e.currentTarget.value)} autosize minRows={3} maxRows={8} data-autofocus />
          {text.trim() && !asked && (
            <Alert color="red" variant="light" role="status">
              {t("approvals.check.unread")}
            </Alert>
          )}
          {asked && digest && (
            <Alert color={found ? "teal" : "red"} variant="light" role="status" title={found ? t("approvals.check.same", { operation: found.operation, who: found.by, id: found.id.slice(0, 8) }) : t("approvals.check.none")}>
              {found && (
                <Code block mah={260} tabIndex={0} style={{ overflow: "auto" }}>
                  {`${asked.method} ${asked.url}\n${asked.body ? pretty(asked.body) : ""}`}
                </Code>
              )}
            </Alert>
          )}
        </Stack>
      </Modal>
    </>
  );
}

function askedOf(text: string): Asked | undefined {
  try {
    const { method, url, body } = JSON.parse(text) as Partial<Asked>;
    return typeof method === "string" && typeof url === "string" && (body === undefined || typeof body === "string") ? { method, url, body } : undefined;
  } catch {
    return undefined;
  }
}
