import { Badge, Group, Switch, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get } from "~/api/client";
import { useText } from "~/i18n";
import { useLoaded } from "~/i18n/loaded";
import { useNarrow } from "~/shared/Folded";
import { Answer, Empty } from "~/shared/states";

const FILES = { de: async () => (await import("~/i18n/settings/de")).settings };

/** How this process is set; what is secret is not shown. */
export function SettingsShown() {
  const t = useText();
  const narrow = useNarrow();
  const texts = useLoaded(FILES);
  const described = (s: { name: string; description: string }) => texts?.[s.name] ?? s.description;
  const [changed, setChanged] = useState(false);
  const q = useQuery({ queryKey: ["operations", "settings"], queryFn: ({ signal }) => get("/settings", {}, signal) });
  return (
    <>
      <Group mb="xs">
        <Switch label={t("settings.changed")} checked={changed} onChange={(e) => setChanged(e.currentTarget.checked)} />
      </Group>
      <Answer of={q} empty={(p) => !p.items.some((s) => !changed || s.changed) && <Empty title={t("settings.none")} />}>
        {(p) => (
          <Table.ScrollContainer minWidth={narrow ? 300 : 560}>
            <Table verticalSpacing={4}>
              <Table.Tbody>
                {p.items
                  .filter((s) => !changed || s.changed)
                  .map((s) => (
                    <Table.Tr key={s.name}>
                      <Table.Td w={narrow ? "55%" : "26%"} style={{ overflowWrap: "anywhere" }}>
                        <span className="fl-mono" title={s.variable}>
                          {s.name}
                        </span>
                        {narrow && (
                          <Text size="xs" c="dimmed" lang={texts?.[s.name] ? undefined : "en"}>
                            <Ticked text={described(s)} />
                          </Text>
                        )}
                      </Table.Td>
                      <Table.Td w="30%" style={{ overflowWrap: "anywhere" }}>
                        <span className="fl-mono">{s.value || "–"}</span>{" "}
                        {s.changed && (
                          <Badge size="xs" variant="light" tt="none">
                            {t("settings.set")}
                          </Badge>
                        )}
                      </Table.Td>
                      {!narrow && (
                        <Table.Td>
                          <Text size="sm" c="dimmed" lang={texts?.[s.name] ? undefined : "en"}>
                            <Ticked text={described(s)} />
                          </Text>
                        </Table.Td>
                      )}
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Answer>
    </>
  );
}

/** What is between backticks is typed as it stands. */
function Ticked({ text }: { text: string }) {
  return text.split("`").map((part, n) => (n % 2 ? <code key={n}>{part}</code> : part));
}
