import { Badge, Grid, Group, SegmentedControl, Select, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { get } from "~/api/client";
import { useDiagram } from "~/api/source";
import type { Change, Definition } from "~/api/types";
import { Diagram } from "~/diagram/Diagram";
import { useText } from "~/i18n";
import { brief } from "~/shared/Json";
import { Answer, Empty } from "~/shared/states";

const COLORS = { added: "teal", removed: "red", moved: "blue", changed: "yellow" } as const;
const MARKS = { added: "fl-added", removed: "fl-gone", moved: "fl-changed", changed: "fl-changed" } as const;

/** What became of one version in another: on both diagrams, as a list with fields, and as text. */
export function Compare({ versions, shown }: { versions: Definition[]; shown: Definition }) {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const [as, setAs] = useState("elements");
  const [element, setElement] = useState<string>();
  const others = versions.filter((d) => d.key !== shown.key);
  const other = others.find((d) => String(d.version) === search.with) ?? others.find((d) => d.version < shown.version) ?? others[0];
  const [older, newer] = other && other.version > shown.version ? [shown, other] : [other, shown];
  const q = useQuery({ queryKey: ["diff", older?.key, newer.key], enabled: Boolean(older), staleTime: Number.POSITIVE_INFINITY, queryFn: ({ signal }) => get(`/definitions/${older!.key}/diff`, { to: newer.key }, signal) });
  const before = useDiagram(older?.key);
  const after = useDiagram(newer.key);
  const changes = useMemo(() => (q.data?.changes ?? []) as unknown as Change[], [q.data]);
  const marks = useMemo(() => {
    const old: Record<string, string[]> = {};
    const now: Record<string, string[]> = {};
    for (const c of changes) {
      if (c.change !== "added") old[c.id] = [MARKS[c.change]];
      if (c.change !== "removed") now[c.id] = [MARKS[c.change]];
    }
    return { old, now };
  }, [changes]);
  if (!other) return <Empty title={t("compare.one")}>{t("compare.one.hint")}</Empty>;
  const shownRows = element ? changes.filter((c) => c.id === element) : changes;
  return (
    <>
      <Group mb="sm" align="end" gap="xs">
        <Select label={t("compare.with")} size="xs" w={130} allowDeselect={false} value={String(other.version)} data={others.map((d) => ({ value: String(d.version), label: `v${d.version}` }))} onChange={(v) => void navigate({ to: ".", search: { ...search, with: v ?? "" }, replace: true })} />
        <SegmentedControl size="xs" aria-label={t("compare.as")} value={as} onChange={setAs} data={["elements", "text"].map((v) => ({ value: v, label: t(`compare.${v}`) }))} />
        {(["added", "changed", "moved", "removed"] as const).map((kind) => {
          const n = changes.filter((c) => c.change === kind).length;
          return (
            n > 0 && (
              <Badge key={kind} color={COLORS[kind]} variant="light" tt="none">
                {n} {t(`compare.${kind}`)}
              </Badge>
            )
          );
        })}
      </Group>
      <Answer of={q} empty={(d) => d.changes.length === 0 && <Empty title={t(d.text ? "compare.textonly" : "compare.same")} />}>
        {(d) =>
          as === "text" ? (
            <pre className="fl-mono" style={{ overflow: "auto", maxHeight: 520 }} tabIndex={0} aria-label={t("compare.text")}>
              {d.text.split("\n").map((line, n) => (
                <div key={n} className={line.startsWith("+") ? "fl-line-added" : line.startsWith("-") ? "fl-line-gone" : undefined}>
                  {line || " "}
                </div>
              ))}
            </pre>
          ) : (
            <>
              <Grid>
                {(
                  [
                    [older!, before, marks.old],
                    [newer, after, marks.now],
                  ] as const
                ).map(([d, xml, marked]) => (
                  <Grid.Col key={d.key} span={{ base: 12, lg: 6 }}>
                    <Text size="sm" fw={600} mb={4}>
                      v{d.version}
                    </Text>
                    <Answer of={xml}>{(text) => <Diagram whole xml={text} process={d.definition_id} marks={marked} selected={element} onSelect={setElement} height={280} label={t("compare.diagram", { version: d.version })} />}</Answer>
                  </Grid.Col>
                ))}
              </Grid>
              <Table.ScrollContainer minWidth={520} mt="sm">
                <Table verticalSpacing={4}>
                  <Table.Tbody>
                    {shownRows.map((c) => (
                      <Table.Tr key={`${c.change}${c.id}`}>
                        <Table.Td w="8rem" style={{ verticalAlign: "top" }}>
                          <Badge color={COLORS[c.change]} variant="light" size="sm" tt="none">
                            {t(`compare.${c.change}`)}
                          </Badge>
                        </Table.Td>
                        <Table.Td w="28%" style={{ verticalAlign: "top" }}>
                          {c.name || c.id}{" "}
                          <Text span size="xs" c="dimmed">
                            {c.type}
                          </Text>
                        </Table.Td>
                        <Table.Td>
                          {(c.fields ?? []).map((f) => (
                            <div key={f.field}>
                              <Text span size="sm" c="dimmed">
                                {f.field}:
                              </Text>{" "}
                              <del className="fl-mono">{f.from === null ? "–" : brief(f.from, 120)}</del> → <ins className="fl-mono">{f.to === null ? "–" : brief(f.to, 120)}</ins>
                            </div>
                          ))}
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
            </>
          )
        }
      </Answer>
    </>
  );
}
