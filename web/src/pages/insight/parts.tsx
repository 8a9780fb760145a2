import { Group, Paper, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";
import type { AnswerOf, Definition, GetPath, ParamsOf } from "~/api/types";
import { useText } from "~/i18n";
import { duration, When } from "~/shared/time";
import { spanOf, type Search } from "./asked";

/** What each part of the page is given. */
export interface Part {
  search: Search;
  process: string;
  versions: Definition[];
  set: (more: Record<string, string | undefined>) => void;
}

/** A report of the time in the address. It is asked anew when something happens, and what was known stays until then. */
export function useReport<A extends "/measures" | "/variants" | `/reports/${"heatmap" | "bottlenecks" | "comparison" | "anomalies"}`>(path: A, search: Search, params: Record<string, string | undefined>, enabled = true) {
  return useQuery({
    queryKey: ["insight", path, params, search.last, search.from, search.to],
    enabled,
    placeholderData: keepPreviousData,
    // the time that "the last 24 hours" is goes on
    queryFn: ({ signal }) => get(path as GetPath, { ...params, ...spanOf(search, Date.now()) } as unknown as ParamsOf<GetPath>, signal) as unknown as Promise<AnswerOf<"get", A>>,
  });
}

/** Up to when and which place of the log these figures are counted. */
export function Fresh({ of }: { of: { dataUpdatedAt: number; data?: { from: string; to: string; position?: string | null } } }) {
  const t = useText();
  if (!of.data) return null;
  return (
    <Text size="xs" c="dimmed" mt="sm" component="div" style={{ overflowWrap: "anywhere" }}>
      {t("insight.of")} <When at={of.data.from} exact /> – <When at={of.data.to} exact />
      {" · "}
      {t("insight.asked")} <When at={new Date(of.dataUpdatedAt).toISOString()} />
      {of.data.position ? ` · ${t("insight.place", { position: of.data.position })}` : ""}
    </Text>
  );
}

/** A figure with its name. */
export function Figure({ name, value, more, color }: { name: string; value: string; more?: string; color?: string }) {
  return (
    <Paper withBorder p="xs" component="dl" m={0}>
      <Text size="xs" c="dimmed" component="dt">
        {name}
      </Text>
      <Text fw={600} size="lg" component="dd" m={0} c={color}>
        {value}
      </Text>
      {more && (
        <Text size="xs" c="dimmed" component="dd" m={0}>
          {more}
        </Text>
      )}
    </Paper>
  );
}

/** A share as a bar beside its number. */
export function Share({ of, label }: { of: number; label: string }) {
  return (
    <Group gap={6} wrap="nowrap">
      <div className="fl-share" aria-hidden="true">
        <div style={{ width: `${Math.max(1, Math.min(100, of * 100))}%` }} />
      </div>
      <Text size="sm" style={{ whiteSpace: "nowrap" }}>
        {label}
      </Text>
    </Group>
  );
}

export const long = (ms: number | null | undefined) => (ms == null ? "–" : duration(ms));

/** `12 %`, `−3.4 %`: few digits, those of the reader's language. */
export function percent(share: number | null | undefined, language: string, signed = false): string {
  if (share == null) return "–";
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: Math.abs(share) < 0.1 ? 1 : 0, signDisplay: signed ? "exceptZero" : "auto" }).format(share);
}
