import { Badge, Button, Group, Paper, Table, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import { useLanguage, useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer, Empty, Failed } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { Figure, long, percent, type Part } from "./parts";
import { useWork } from "~/shared/work";

/** As the server tells it (docs/predictions.md). */
interface Card {
  cases: { learned: number; calibrated: number; tested: number; left_out: number };
  from: string;
  to: string;
  remaining: {
    offered: boolean;
    why: string;
    error_ms: number;
    gain: number;
    baseline_error_ms: { median: number; by_element: number };
    interval: { says: number; holds: number; offered: boolean; width_ms: number };
    by_element: { elements: string; count: number; error_ms: number; baseline_error_ms: number }[];
  };
  outcome: Scored;
  late: Scored;
  next: { offered: boolean; why: string; right: number | null; baseline_right: number | null };
}
interface Scored {
  offered: boolean;
  why: string;
  score: number;
  baseline_score: number;
  calibration: { count: number; told: number; came_true: number }[];
}

/** What was learned of a process, how far it is off, and which model is used. */
export function Predictions({ process }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const may = useMay("learn");
  const client = useQueryClient();
  const { busy, error, run } = useWork();
  const [use, setUse] = useState<number>();
  const found = useQuery({ queryKey: ["predictions", process], queryFn: ({ signal }) => get("/predictions", { process }, signal) });
  const again = () => client.invalidateQueries({ queryKey: ["predictions", process] });
  const learn = () =>
    run(async () => {
      await send("POST", "/predictions", { process });
      await again();
    });
  return (
    <>
      <Group justify="space-between" mb="sm">
        <Text size="sm">{t("predictions.what")}</Text>
        {may && (
          <Button size="xs" variant="default" loading={busy} onClick={() => void learn()}>
            {t("predictions.learn")}
          </Button>
        )}
      </Group>
      {error !== undefined && <Failed error={error} />}
      <Answer of={found} empty={(d) => d.items.length === 0 && <Empty title={t("predictions.none")}>{t("predictions.none.hint")}</Empty>}>
        {(d) => {
          const row = d.items.find((i) => i.in_use) ?? d.items[0]!;
          const card = row.card as unknown as Card;
          const left = card.remaining;
          const drift = row.drift as { cases: number; drifted: boolean; holds?: number; gain?: number; why: string } | null;
          const verdict = (offered: boolean, why: string) => (offered ? t("predictions.told") : t("predictions.nottold", { why: t(`predict.why.${why}`) }));
          return (
            <>
              <Group gap="sm" mb="sm" align="stretch">
                <Figure name={t("predictions.error")} value={long(left.error_ms)} more={verdict(left.offered, left.why)} />
                <Figure name={t("predictions.base")} value={long(Math.min(left.baseline_error_ms.median, left.baseline_error_ms.by_element))} more={t("predictions.gain", { gain: percent(left.gain, language, true) })} />
                <Figure name={t("predictions.interval", { says: percent(left.interval.says, language) })} value={percent(left.interval.holds, language)} more={t("predictions.width", { width: long(left.interval.width_ms) })} />
                <Figure name={t("predictions.late")} value={card.late.score.toFixed(3)} more={`${t("predictions.againstscore", { base: card.late.baseline_score.toFixed(3) })}; ${verdict(card.late.offered, card.late.why)}`} />
                <Figure name={t("predictions.outcome")} value={card.outcome.score.toFixed(3)} more={`${t("predictions.againstscore", { base: card.outcome.baseline_score.toFixed(3) })}; ${verdict(card.outcome.offered, card.outcome.why)}`} />
                <Figure name={t("predictions.next")} value={percent(card.next.right, language)} more={`${t("predictions.against", { base: percent(card.next.baseline_right, language) })}; ${verdict(card.next.offered, card.next.why)}`} />
              </Group>
              <Paper withBorder p="sm" mb="sm">
                <Text size="sm">
                  {t("predictions.from", { model: row.number, learned: card.cases.learned, calibrated: card.cases.calibrated, tested: card.cases.tested, out: card.cases.left_out })} <When at={card.from} exact /> – <When at={card.to} exact />
                </Text>
                <Text size="sm" c={drift?.drifted ? "var(--fl-bad)" : undefined}>
                  {!drift || !drift.cases ? t("predictions.drift.none") : t(drift.drifted ? "predictions.drift.yes" : "predictions.drift.no", { cases: drift.cases, holds: percent(drift.holds, language), gain: percent(drift.gain, language, true) })}
                </Text>
              </Paper>
              <Wide minWidth={480}>
                <Table verticalSpacing={4} aria-label={t("predictions.elements")}>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t("predictions.at")}</Table.Th>
                      <Table.Th>{t("predictions.asked")}</Table.Th>
                      <Table.Th>{t("predictions.error")}</Table.Th>
                      <Table.Th>{t("predictions.base")}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {left.by_element.slice(0, 10).map((e) => (
                      <Table.Tr key={e.elements}>
                        <Table.Td>{e.elements.replaceAll("+", ", ")}</Table.Td>
                        <Table.Td>{e.count}</Table.Td>
                        <Table.Td>{long(e.error_ms)}</Table.Td>
                        <Table.Td>{long(e.baseline_error_ms)}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
              <Wide minWidth={560}>
                <Table verticalSpacing={4} mt="md" aria-label={t("predictions.models")}>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t("predictions.model")}</Table.Th>
                      <Table.Th>{t("predictions.made")}</Table.Th>
                      <Table.Th>{t("predictions.error")}</Table.Th>
                      <Table.Th>{t("predictions.base")}</Table.Th>
                      <Table.Th>{t("predictions.inuse")}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {d.items.map((i) => {
                      const its = (i.card as unknown as Card).remaining;
                      return (
                        <Table.Tr key={i.number}>
                          <Table.Td>{i.number}</Table.Td>
                          <Table.Td>
                            <When at={i.made} /> {i.made_by}
                          </Table.Td>
                          <Table.Td>{long(its.error_ms)}</Table.Td>
                          <Table.Td>{long(Math.min(its.baseline_error_ms.median, its.baseline_error_ms.by_element))}</Table.Td>
                          <Table.Td>
                            {i.in_use ? (
                              <Badge tt="none" variant="light">
                                {t("predictions.inuse")}
                              </Badge>
                            ) : (
                              may && (
                                <Button size="compact-xs" variant="default" aria-label={t("predictions.use.of", { model: i.number })} onClick={() => setUse(i.number)}>
                                  {t("predictions.use")}
                                </Button>
                              )
                            )}
                          </Table.Td>
                        </Table.Tr>
                      );
                    })}
                  </Table.Tbody>
                </Table>
              </Wide>
              <Text size="xs" c="dimmed" mt="sm">
                {t("predictions.how")}
              </Text>
              {use !== undefined && (
                <Ask
                  title={t("predictions.use.of", { model: use })}
                  what={t("predictions.use.what")}
                  close={() => setUse(undefined)}
                  go={async (reason) => {
                    await send("POST", "/predictions/use", { process, model: use === d.items[0]!.number ? 0 : use, reason });
                    await again();
                  }}
                />
              )}
            </>
          );
        }}
      </Answer>
    </>
  );
}
