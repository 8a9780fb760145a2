import { Anchor, Button, Checkbox, Group, Stack, Text, Textarea } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { Answer, Empty, Failed } from "~/shared/states";
import { When } from "~/shared/time";
import { useWork } from "~/shared/work";

/** What people say of a draft, or of one of its elements. */
export function Comments({ draft, selected, onPick, may }: { draft: string; selected?: string; onPick: (element: string) => void; may: boolean }) {
  const t = useText();
  const client = useQueryClient();
  const q = useQuery({ queryKey: ["draft comments", draft], queryFn: ({ signal }) => get(`/drafts/${draft}/comments`, {}, signal) });
  const [text, setText] = useState("");
  const [about, setAbout] = useState(true);
  const { busy, error, run } = useWork();
  const say = () =>
    run(async () => {
      await send("POST", `/drafts/${draft}/comments`, { text: text.trim(), ...(about && selected ? { element: selected } : {}) });
      setText("");
      await client.invalidateQueries({ queryKey: ["draft comments", draft] });
    });
  return (
    <Stack gap="sm">
      <Answer of={q} empty={(d) => d.items.length === 0 && <Empty title={t("designer.comments.none")} />}>
        {(d) => (
          <Stack gap="xs">
            {d.items.map((c) => (
              <div key={c.id}>
                <Text size="xs" c="dimmed" component="div">
                  {c.author || t("shell.nobody")} · <When at={c.at} />
                  {c.element && (
                    <>
                      {" · "}
                      <Anchor component="button" type="button" size="xs" onClick={() => onPick(c.element)}>
                        {c.element}
                      </Anchor>
                    </>
                  )}
                </Text>
                <Text size="sm" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
                  {c.text}
                </Text>
              </div>
            ))}
          </Stack>
        )}
      </Answer>
      {may && (
        <>
          <Textarea label={t("designer.comments.new")} value={text} onChange={(e) => setText(e.currentTarget.value)} maxLength={10_000} autosize minRows={2} />
          {selected && <Checkbox size="xs" checked={about} onChange={(e) => setAbout(e.currentTarget.checked)} label={t("designer.comments.about", { element: selected })} />}
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button size="xs" disabled={!text.trim()} loading={busy} onClick={() => void say()}>
              {t("designer.comments.send")}
            </Button>
          </Group>
        </>
      )}
    </Stack>
  );
}
