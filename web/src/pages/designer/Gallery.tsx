import { Alert, Button, FileButton, Group, Stack, Text, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Editor } from "~/designer/editor";
import * as store from "~/designer/templates";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";

/** Building blocks: templates of the server's connectors and of files. One is put onto the selected element, or stands beside as a new one. */
export function Gallery({ editor, selected }: { editor: Editor | undefined; selected?: string }) {
  const t = useText();
  const client = useQueryClient();
  const [filter, setFilter] = useState("");
  const [wrong, setWrong] = useState<string>();
  const { language } = useLanguage();
  const q = useQuery({ queryKey: ["templates", language], queryFn: () => store.templates(language) });
  const taken = async (file: File | null) => {
    if (!file) return;
    try {
      store.add(store.read(await file.text()));
      setWrong(undefined);
      await client.invalidateQueries({ queryKey: ["templates"] });
      editor?.templates?.(await store.templates(language));
    } catch (e) {
      setWrong(t("designer.blocks.wrong", { name: file.name, why: (e as Error).message }));
    }
  };
  return (
    <Stack gap="sm">
      <Group gap="xs" wrap="nowrap">
        <TextInput size="xs" style={{ flex: 1 }} aria-label={t("designer.blocks.search")} placeholder={t("designer.blocks.search")} value={filter} onChange={(e) => setFilter(e.currentTarget.value)} />
        <FileButton onChange={(f) => void taken(f)} accept=".json" inputProps={{ "aria-label": t("designer.blocks.file") }}>
          {(props) => (
            <Button size="xs" variant="default" {...props}>
              {t("designer.blocks.file")}
            </Button>
          )}
        </FileButton>
      </Group>
      {wrong && (
        <Alert color="red" variant="light" role="alert">
          {wrong}
        </Alert>
      )}
      <Text size="xs" c="dimmed">
        {t(selected ? "designer.blocks.onto" : "designer.blocks.beside", { element: selected ?? "" })}
      </Text>
      <Answer of={q} empty={(all) => all.length === 0 && <Empty title={t("designer.blocks.none")} />}>
        {(all) => (
          <Stack gap="xs">
            {all
              .filter((b) => `${b.name} ${b.description ?? ""}`.toLowerCase().includes(filter.toLowerCase()))
              .map((b) => (
                <Group key={`${b.id} ${b.version ?? ""}`} gap="xs" wrap="nowrap" justify="space-between" align="flex-start">
                  <div style={{ minWidth: 0 }}>
                    <Text size="sm" fw={600}>
                      {b.name}
                    </Text>
                    <Text size="xs" c="dimmed">
                      {b.description}
                    </Text>
                  </div>
                  <Button size="compact-xs" variant="light" style={{ flex: "none" }} aria-label={t("designer.blocks.use", { name: b.name })} disabled={!editor?.apply} onClick={() => editor?.apply?.(b.id, b.version, selected)}>
                    {t("designer.blocks.take")}
                  </Button>
                </Group>
              ))}
          </Stack>
        )}
      </Answer>
    </Stack>
  );
}
