import { Group, Paper, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";
import { useMay } from "~/api/me";
import { useLanguage, useText } from "~/i18n";
import { duration, When } from "~/shared/time";

/** What becomes of it, by what was learned from ended ones; and what plain counting says. Nothing where nothing was learned yet. */
export function Prediction({ instance, process, names }: { instance: string; process: string; names?: Map<string, string> }) {
  const t = useText();
  const { language } = useLanguage();
  const may = useMay("insight");
  const models = useQuery({ queryKey: ["predictions", process], enabled: may, staleTime: 60_000, queryFn: ({ signal }) => get("/predictions", { process }, signal) });
  const learned = (models.data?.items.length ?? 0) > 0;
  const found = useQuery({ queryKey: ["instance", instance, "prediction"], enabled: may && learned, refetchInterval: 30_000, queryFn: ({ signal }) => get(`/instances/${instance}/prediction`, {}, signal) });
  if (!found.data) return null;
  const p = found.data;
  const share = (n: number) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: n > 0.995 || n < 0.005 ? 1 : 0 }).format(n);
  const r = p.remaining;
  const model = p.by === "model";
  const beyond = p.why === "beyond";
  return (
    <Paper withBorder p="sm" mb="sm" role="group" aria-label={t("predict.title")}>
      <Group gap="xl" align="start">
        <div>
          <Text size="xs" c="dimmed">
            {t("predict.left")}
          </Text>
          <Text fw={600}>{beyond ? t("predict.unknown") : duration(r.ms)}</Text>
          <Text size="xs">
            {r.low_ms != null && r.high_ms != null && r.says != null ? t("predict.between", { share: share(r.says), low: duration(r.low_ms), high: duration(r.high_ms) }) : !beyond && t("predict.nointerval")}
          </Text>
        </div>
        <div>
          <Text size="xs" c="dimmed">
            {t("predict.ends")}
          </Text>
          <Text fw={600}>
            {beyond ? t("predict.unknown") : <When at={p.ends.at} exact />}
          </Text>
          {p.late.share != null && (
            <Text size="xs">
              {t("predict.late", { share: share(p.late.share) })} <When at={p.late.due} exact />
            </Text>
          )}
        </div>
        <div>
          <Text size="xs" c="dimmed">
            {t("predict.success")}
          </Text>
          <Text fw={600}>{share(p.success.share)}</Text>
          {p.success.by === "baseline" && <Text size="xs">{t("predict.asall")}</Text>}
        </div>
        {p.next_elements.length > 0 && (
          <div>
            <Text size="xs" c="dimmed">
              {t("predict.next")}
            </Text>
            {p.next_elements.slice(0, 3).map((n) => (
              <Text size="sm" key={n.element}>
                {names?.get(n.element) ?? n.element} {share(n.share)}
              </Text>
            ))}
          </div>
        )}
      </Group>
      <Text size="xs" c="dimmed" mt={6}>
        {beyond ? t("predict.beyond") : model ? t("predict.by", { model: p.model, alike: p.alike, error: duration(r.error_ms), simple: duration(r.baseline_ms), base: duration(r.baseline_error_ms) }) : t("predict.counted", { why: t(`predict.why.${p.why}`), error: duration(r.baseline_error_ms) })}
      </Text>
    </Paper>
  );
}
