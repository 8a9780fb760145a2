import { ActionIcon, Anchor, Button, Card, FileButton, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type ReactNode } from "react";
import { get, getFile, send, sendFile } from "~/api/client";
import { byToken } from "~/api/me";
import { useText } from "~/i18n";
import { bytes } from "./bytes";
import { Icon } from "./icons";
import { save } from "./save";
import { Answer, Failed } from "./states";
import { When } from "./time";

/** Under what a task and an instance are kept, so that news of them ask for their files anew. */
const KEY = { tasks: "task", instances: "instance" } as const;

interface Props {
  of: "tasks" | "instances";
  id: string;
  /** attached and detached, too */
  open: boolean;
  hint?: string;
  children?: ReactNode;
}

/** What is attached to a task or an instance: had by a click, attached from this machine, detached. */
export function Files({ of, id, open, hint, children }: Props) {
  const t = useText();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const again = useRef<() => void>(null);
  const files = useQuery({ queryKey: [KEY[of], id, "files"], queryFn: ({ signal }) => get(`/${of}/${id}/files`, {}, signal), select: (page) => page.items });
  const act = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      await client.invalidateQueries({ queryKey: [KEY[of], id] });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const kept = async (name: string) => {
    const file = await getFile(`/${of}/${id}/files/${encodeURIComponent(name)}`);
    save(name, file.type, file);
  };
  const attach = (file: File | null) => {
    if (file) void act(() => sendFile(`/${of}/${id}/files/${encodeURIComponent(file.name)}`, file));
    again.current?.(); // the same file may be chosen once more
  };
  return (
    <Card withBorder padding="sm">
      <Title order={2} mb="xs">
        {t("tasks.files")}
      </Title>
      {hint && (
        <Text size="sm" c="dimmed" mb="xs">
          {hint}
        </Text>
      )}
      <Stack gap="xs">
        <Answer of={files}>
          {(all) => (
            <>
              {all.length === 0 && (
                <Text size="sm" c="dimmed">
                  {t("tasks.nofiles")}
                </Text>
              )}
              {all.map((f) => (
                <Group key={f.name} justify="space-between" wrap="nowrap" gap="xs">
                  <div style={{ minWidth: 0 }}>
                    {f.kept ? (
                      <Anchor href={`/v1/${of}/${id}/files/${encodeURIComponent(f.name)}`} download={f.name} onClick={(e) => byToken() && (e.preventDefault(), void act(() => kept(f.name)))} size="sm" style={{ overflowWrap: "anywhere" }}>
                        {f.name}
                      </Anchor>
                    ) : (
                      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                        {f.name} <span className="fl-mono">{f.uri}</span>
                      </Text>
                    )}
                    <Text size="xs" c="dimmed">
                      {f.size != null && `${bytes(f.size)} · `}
                      {f.by || t("shell.nobody")} · <When at={f.at ?? undefined} />
                    </Text>
                  </div>
                  {open && (
                    <ActionIcon variant="subtle" color="gray" disabled={busy} aria-label={t("tasks.file.detach", { name: f.name })} onClick={() => void act(() => send("DELETE", `/${of}/${id}/files/${encodeURIComponent(f.name)}`))}>
                      <Icon name="close" size={14} />
                    </ActionIcon>
                  )}
                </Group>
              ))}
            </>
          )}
        </Answer>
        {children}
        {error !== undefined && <Failed error={error} />}
        {open && (
          <FileButton resetRef={again} onChange={attach} inputProps={{ "aria-label": t("tasks.file.attach") }}>
            {(props) => (
              <Button {...props} size="xs" variant="default" w="fit-content" loading={busy}>
                {t("tasks.file.attach")}
              </Button>
            )}
          </FileButton>
        )}
      </Stack>
    </Card>
  );
}
