import { Button, Group, Paper, Text } from "@mantine/core";
import { useMemo } from "react";
import { useDiagram } from "~/api/source";
import { Diagram } from "~/diagram/Diagram";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Fresh, long, percent, Share, useReport, type Part } from "./parts";

const FIRST = 20;

/** The ways that instances went; the chosen one on the diagram. */
export function Variants({ search, process, versions, set }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const limit = search.limit && /^\d{1,3}$/.test(search.limit) ? search.limit : String(FIRST);
  const report = useReport("/variants", search, { process, version: search.version, limit });
  const chosen = report.data?.items.find((v) => v.variant === search.variant);
  const newest = Math.max(0, ...(chosen?.versions ?? []));
  const definition = versions.find((d) => d.version === newest) ?? versions[0];
  const xml = useDiagram(definition?.key);
  const names = useMemo(() => namesIn(xml.data), [xml.data]);
  const marks = useMemo(() => Object.fromEntries((chosen?.path ?? []).map((e) => [e, ["fl-done"]])), [chosen]);
  return (
    <Answer of={report} empty={(d) => d.items.length === 0 && <Empty title={t("variants.none")}>{t("variants.none.hint")}</Empty>}>
      {(d) => (
        <>
          <Text size="sm" mb="xs">
            {t("variants.all", { count: d.variants, instances: d.instances })}
          </Text>
          {chosen && <Answer of={xml}>{(text) => <Diagram xml={text} process={process} marks={marks} height={260} label={t("variants.diagram")} />}</Answer>}
          {d.items.map((v, n) => (
            <Paper withBorder p="sm" mt="xs" key={v.variant} role="group" aria-label={t("variants.one", { n: n + 1 })} bg={v === chosen ? "var(--mantine-color-default-hover)" : undefined}>
              <Group gap="xs" justify="space-between">
                <Group gap="xs">
                  <Text fw={600} size="sm">
                    {t("variants.one", { n: n + 1 })}
                  </Text>
                  <Text size="sm">{t("variants.count", { count: v.count })}</Text>
                  <Text size="sm" c="dimmed">
                    {v.versions.map((x) => `v${x}`).join(", ")}
                  </Text>
                </Group>
                <Share of={v.share} label={t("variants.share", { share: percent(v.share, language), cumulated: percent(v.cumulated, language) })} />
              </Group>
              <ol className="fl-way" aria-label={t("variants.way")}>
                {v.path.map((e, at) => (
                  <li key={at}>{names[e] ?? e}</li>
                ))}
                {v.more > 0 && <li>{t("variants.more", { count: v.more })}</li>}
              </ol>
              <Group gap="md" mt={4}>
                <Text size="sm">{t("variants.time", { median: long(v.cycle_time.p50_ms ?? v.cycle_time.mean_ms), longest: long(v.cycle_time.max_ms) })}</Text>
                {(["failed", "cancelled", "terminated"] as const).map(
                  (how) =>
                    v[how] > 0 && (
                      <Text key={how} size="sm" c="red">
                        {v[how]} {t(`status.${how}`)}
                      </Text>
                    ),
                )}
                <Button size="compact-xs" variant="default" aria-pressed={v === chosen} onClick={() => set({ variant: v === chosen ? undefined : v.variant })}>
                  {t(v === chosen ? "variants.hide" : "variants.show")}
                </Button>
              </Group>
            </Paper>
          ))}
          {d.variants > d.items.length && Number(limit) < 200 && (
            <Button mt="sm" size="xs" variant="default" onClick={() => set({ limit: "200" })}>
              {t("variants.next")}
            </Button>
          )}
          <Fresh of={report} />
        </>
      )}
    </Answer>
  );
}

/** What the elements of a version are called. */
function namesIn(xml: string | undefined): Record<string, string> {
  const found: Record<string, string> = {};
  if (xml) for (const e of new DOMParser().parseFromString(xml, "application/xml").querySelectorAll("[id][name]")) found[e.getAttribute("id")!] = e.getAttribute("name")!;
  return found;
}
