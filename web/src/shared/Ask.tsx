import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useText } from "~/i18n";
import { Failed } from "./states";
import { useWork } from "./work";

interface Props {
  title: string;
  /** what will happen, in a sentence */
  what: string;
  danger?: boolean;
  ready?: boolean;
  /** ask for a reason, which stands in the record */
  reason?: boolean;
  close: () => void;
  go: (reason: string) => Promise<unknown>;
  children?: ReactNode;
}

/** Before something is done: what it does, and why. It stays open when the server refuses, with the server's words. */
export function Ask({ title, what, danger, ready = true, reason: asks = true, close, go, children }: Props) {
  const t = useText();
  const [reason, setReason] = useState("");
  const { busy, error, run } = useWork();
  const act = () =>
    run(async () => {
      await go(reason.trim());
      close();
    });
  return (
    <Modal opened onClose={close} title={title}>
      <Stack>
        <Text size="sm">{what}</Text>
        {children}
        {asks && <Textarea label={t("act.reason")} value={reason} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus={children ? undefined : true} maxLength={1000} />}
        {error !== undefined && <Failed error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t("cancel")}
          </Button>
          <Button color={danger ? "red" : undefined} loading={busy} disabled={!ready} onClick={() => void act()}>
            {title}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
