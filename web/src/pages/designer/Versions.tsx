import { Button, Group, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import type { Draft } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer } from "~/shared/states";
import { When } from "~/shared/time";

interface Row {
  version: number;
  comment: string;
  saved_at: string;
  saved_by: string;
}

/** All saves; an older one can be opened, and becomes the newest when it is saved. */
export function Versions({ of, versions, base, dirty, open }: { of: Draft; versions: UseQueryResult<unknown>; base: number; dirty: boolean; open: (version: number) => void }) {
  const t = useText();
  const [asking, setAsking] = useState<number>();
  return (
    <>
      <Answer of={versions as UseQueryResult<{ items: Row[] }>}>
        {(d) => (
          <Stack gap="xs">
            {d.items.map((v) => (
              <Group key={v.version} gap="xs" wrap="nowrap" align="flex-start" justify="space-between">
                <div style={{ minWidth: 0 }}>
                  <Text size="sm" fw={v.version === base ? 600 : 400}>
                    v{v.version} · {v.saved_by || t("shell.nobody")} · <When at={v.saved_at} />
                  </Text>
                  {v.comment && (
                    <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
                      {v.comment}
                    </Text>
                  )}
                </div>
                <Button size="compact-xs" variant="default" aria-label={t("designer.versions.open", { version: v.version, name: of.name })} onClick={() => (dirty ? setAsking(v.version) : open(v.version))}>
                  {t("designer.open")}
                </Button>
              </Group>
            ))}
          </Stack>
        )}
      </Answer>
      {asking !== undefined && <Ask title={t("designer.open")} what={t("designer.versions.unsaved", { version: asking })} reason={false} danger close={() => setAsking(undefined)} go={async () => open(asking)} />}
    </>
  );
}
