import { Alert, Button, CopyButton, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useText } from "~/i18n";

/** What the server tells once: it can be copied, and is gone when this is closed. */
export function Once({ title, what, text, close }: { title: string; what: string; text: string; close: () => void }) {
  const t = useText();
  return (
    <Modal opened onClose={close} title={title} closeOnClickOutside={false} size="lg">
      <Stack>
        <Alert color="yellow" variant="light">
          <Text size="sm">{what}</Text>
        </Alert>
        <TextInput readOnly value={text} aria-label={title} className="fl-mono" onFocus={(e) => e.currentTarget.select()} data-autofocus />
        <Group justify="flex-end">
          <CopyButton value={text}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {t(copied ? "once.copied" : "once.copy")}
              </Button>
            )}
          </CopyButton>
          <Button onClick={close}>{t("once.done")}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
