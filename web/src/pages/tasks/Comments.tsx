import { Button, Card, Stack, Text, Textarea, Title } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import type { HistoryEvent, Task } from "~/api/types";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";
import { When } from "~/shared/time";

export function Comments({ task, events, closed }: { task: Task; events: HistoryEvent[]; closed: boolean }) {
  const t = useText();
  const client = useQueryClient();
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const said = events.filter((e) => e.type === "task.commented");
  const add = async () => {
    if (!text.trim()) return;
    setBusy(true);
    setError(undefined);
    try {
      await send("POST", `/tasks/${task.id}/${"comment" as string}`, { text: text.trim() });
      setText("");
      await client.invalidateQueries({ queryKey: ["task", task.id] });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card withBorder padding="sm">
      <Title order={2} mb="xs">
        {t("tasks.comments")}
      </Title>
      <Stack gap="xs">
        {said.length === 0 && (
          <Text size="sm" c="dimmed">
            {t("tasks.nocomments")}
          </Text>
        )}
        {said.map((e) => (
          <div key={e.id}>
            <Text size="xs" c="dimmed">
              {e.actor || t("shell.nobody")} · <When at={e.time} />
            </Text>
            <Text size="sm" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
              {String((e.data.details as { text?: string } | null)?.text ?? e.data.reason ?? "")}
            </Text>
          </div>
        ))}
        {!closed && (
          <>
            <Textarea aria-label={t("tasks.comment")} placeholder={t("tasks.comment")} value={text} onChange={(e) => setText(e.currentTarget.value)} autosize minRows={1} maxRows={6} maxLength={5000} />
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
