import { Button, Card, Stack, Text, Textarea, Title } from "@mantine/core";
import { useState, type ReactNode } from "react";
import type { HistoryEvent } from "~/api/types";
import { useText } from "~/i18n";
import { Failed } from "./states";
import { When } from "./time";
import { useWork } from "./work";

/** What was said: of a task it stands in the details of the move. */
export const saidIn = (e: HistoryEvent) => String(e.data.text ?? (e.data.details as { text?: string } | null)?.text ?? e.data.reason ?? "");

interface Props {
  title: string;
  said: HistoryEvent[];
  none: string;
  /** beside who and when: what it is about */
  about?: (e: HistoryEvent) => ReactNode;
  /** undefined: nothing can be added */
  say?: (text: string) => Promise<unknown>;
}

/** Comments, oldest first, and a place for the next one. */
export function Comments({ title, said, none, about, say }: Props) {
  const t = useText();
  const [text, setText] = useState("");
  const { busy, error, run } = useWork();
  const add = async () => {
    if (!say || !text.trim()) return;
    await run(async () => {
      await say(text.trim());
      setText("");
    });
  };
  return (
    <Card withBorder padding="sm">
      <Title order={2} mb="xs">
        {title}
      </Title>
      <Stack gap="xs">
        {said.length === 0 && (
          <Text size="sm" c="dimmed">
            {none}
          </Text>
        )}
        {said.map((e) => (
          <div key={e.id}>
            <Text size="xs" c="dimmed" component="div">
              {e.actor || t("shell.nobody")} · <When at={e.time} /> {about?.(e)}
            </Text>
            <Text size="sm" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
              {saidIn(e)}
            </Text>
          </div>
        ))}
        {say && (
          <>
            <Textarea aria-label={t("tasks.comment")} placeholder={t("tasks.comment")} value={text} onChange={(e) => setText(e.currentTarget.value)} autosize minRows={1} maxRows={6} maxLength={4000} />
            {error !== undefined && <Failed error={error} />}
            <Button size="xs" variant="default" w="fit-content" loading={busy} disabled={!text.trim()} onClick={() => void add()}>
              {t("tasks.comment.add")}
            </Button>
          </>
        )}
      </Stack>
    </Card>
  );
}
