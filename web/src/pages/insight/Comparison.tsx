import { Badge, Group, Paper, Select, SimpleGrid, Switch, Table, Text } from "@mantine/core";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Wide } from "~/shared/Wide";
import { Fresh, long, percent, useReport, type Part } from "./parts";

const COLORS: Record<string, string> = { faster: "teal", better: "teal", slower: "red", worse: "red", same: "gray" };

/** Two versions: does the one take longer, and could that be chance? */
export function Comparison({ search, process, versions, set }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const numbers = versions.map((d) => d.version).sort((a, b) => b - a);
  const is = (text: string | undefined) => numbers.find((n) => String(n) === text);
  const after = is(search.after) ?? numbers.find((n) => n !== is(search.before));
  const before = is(search.before) ?? numbers.find((n) => after !== undefined && n < after);
  const report = useReport("/reports/comparison", search, { process, before: String(before), after: String(after) }, before !== undefined && after !== undefined && before !== after);
  if (versions.length < 2 || before === undefined || after === undefined) return <Empty title={t("compare.one")}>{t("versions.one.hint")}</Empty>;
  const choice = (name: "before" | "after", value: number) => (
    <Select label={t(`versions.${name}`)} size="xs" w={110} allowDeselect={false} value={String(value)} data={numbers.map((n) => ({ value: String(n), label: `v${n}`, disabled: n === (name === "before" ? after : before) }))} onChange={(v) => set({ before: String(before), after: String(after), [name]: v ?? undefined })} />
  );
  const all = search.every === "true";
  return (
    <>
      <Group gap="xs" mb="sm" align="end">
        {choice("before", before)}
        {choice("after", after)}
        <Switch size="sm" mb={6} label={t("versions.every")} checked={all} onChange={(e) => set({ every: e.currentTarget.checked ? "true" : undefined })} />
      </Group>
      <Answer of={report} empty={(d) => (d.before.started === 0 || d.after.started === 0) && <Empty title={t("versions.none", { version: d.before.started === 0 ? before : after })}>{t("insight.nothing.hint")}</Empty>}>
        {(d) => {
          const rows = d.items.filter((i) => all || (i.verdict && i.verdict !== "same"));
          return (
            <>
              <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm" mb="sm">
                <Paper withBorder p="sm">
                  <Text size="xs" c="dimmed">
                    {t("measure.cycle_time")}
                  </Text>
                  <Group gap="xs">
                    <Text fw={600} size="lg">
                      {long(d.before.cycle_time.p50_ms)} → {long(d.after.cycle_time.p50_ms)}
                    </Text>
                    <Verdict of={d.cycle_time.verdict} />
                  </Group>
                  <Evidence of={d.cycle_time} counts={[d.before.cycle_time.count, d.after.cycle_time.count]} />
                </Paper>
                <Paper withBorder p="sm">
                  <Text size="xs" c="dimmed">
                    {t("measure.success_rate")}
                  </Text>
                  <Group gap="xs">
                    <Text fw={600} size="lg">
                      {percent(d.success_rate.before, language)} → {percent(d.success_rate.after, language)}
                    </Text>
                    <Verdict of={d.success_rate.verdict} />
                  </Group>
                  <Text size="sm" c="dimmed">
                    {t("versions.p", { p: chance(d.success_rate.p_value, language) })}
                  </Text>
                </Paper>
              </SimpleGrid>
              {rows.length === 0 ? (
                <Empty title={t("versions.same")}>{t("versions.same.hint")}</Empty>
              ) : (
                <Wide minWidth={680}>
                  <Table className="fl-numbers" verticalSpacing={3} fz="sm" aria-label={t("versions.table")}>
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th>{t("heat.element")}</Table.Th>
                        <Table.Th>{t("versions.measure")}</Table.Th>
                        <Table.Th ta="right">v{before}</Table.Th>
                        <Table.Th ta="right">v{after}</Table.Th>
                        <Table.Th ta="right">{t("versions.change")}</Table.Th>
                        <Table.Th ta="right">{t("versions.longer")}</Table.Th>
                        <Table.Th ta="right">p</Table.Th>
                        <Table.Th>{t("versions.verdict")}</Table.Th>
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {rows.map((i) => (
                        <Table.Tr key={`${i.element} ${i.measure}`}>
                          <Table.Td>{i.name}</Table.Td>
                          <Table.Td>{t(`measure.${i.measure}`)}</Table.Td>
                          <Table.Td ta="right">{long(i.before.p50_ms)}</Table.Td>
                          <Table.Td ta="right">{long(i.after.p50_ms)}</Table.Td>
                          <Table.Td ta="right">{percent(i.change, language, true)}</Table.Td>
                          <Table.Td ta="right">{percent(i.longer, language)}</Table.Td>
                          <Table.Td ta="right">{chance(i.p_value, language)}</Table.Td>
                          <Table.Td>
                            <Verdict of={i.verdict} />
                          </Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Wide>
              )}
              <Text size="xs" c="dimmed" mt="xs">
                {t("versions.what")}
              </Text>
              <Fresh of={report} />
            </>
          );
        }}
      </Answer>
    </>
  );
}

/** A p-value as it is told: below a thousandth nobody needs more. */
function chance(p: number | null | undefined, language: string): string {
  if (p == null) return "–";
  return p < 0.001 ? `< ${(0.001).toLocaleString(language)}` : p.toLocaleString(language, { maximumFractionDigits: 3 });
}

function Verdict({ of }: { of: string | null | undefined }) {
  const t = useText();
  return (
    <Badge variant="light" size="sm" tt="none" color={COLORS[of ?? ""] ?? "gray"}>
      {t(`verdict.${of ?? "none"}`)}
    </Badge>
  );
}

function Evidence({ of, counts }: { of: { change?: number | null; longer?: number | null; p_value?: number | null }; counts: [number, number] }) {
  const t = useText();
  const { language } = useLanguage();
  return (
    <Text size="sm" c="dimmed">
      {t("versions.counts", { before: counts[0], after: counts[1] })} · {t("versions.pairs", { share: percent(of.longer, language) })} · {t("versions.p", { p: chance(of.p_value, language) })}
    </Text>
  );
}
