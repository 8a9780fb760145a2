import { Badge, Group, Stack, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useState } from "react";
import { send } from "~/api/client";
import type { Finding } from "~/api/types";
import { useText } from "~/i18n";
import { useFindingText } from "~/i18n/findings";
import { Icon } from "~/shared/icons";
import { Empty } from "~/shared/states";

const WAIT_MS = 500;
/** What a model imports is looked for among what is deployed, which changes beside it: who comes back to it sees what is so by then. */
const STALE_MS = 10_000;
const COLOUR: Record<string, string> = { error: "red", warning: "yellow", info: "blue" };
const RANK: Record<string, number> = { error: 0, warning: 1, info: 2 };
/** findings shown in the list; the rest is counted */
const SHOWN = 200;

/** The server's findings of a text, asked when it has stopped changing. What was found stays until the next answer. */
export function useFindings(name: string, text: string) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), WAIT_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const q = useQuery({
    queryKey: ["check", name, settled],
    enabled: settled !== "",
    staleTime: STALE_MS,
    gcTime: 10_000,
    placeholderData: (before) => before,
    queryFn: () => send("POST", "/models/check", { name, content: settled }),
  });
  const findings = [...((q.data?.findings ?? []) as Finding[])].sort((a, b) => (RANK[a.severity] ?? 3) - (RANK[b.severity] ?? 3));
  return { findings, definitions: q.data?.definitions ?? [], format: q.data?.format, error: q.error, current: settled === text && !q.isFetching && !q.isPlaceholderData, asked: q.data !== undefined };
}

/** What the elements of the open draft are called, by their ids. */
export const Names = createContext<Map<string, string>>(new Map());

/** Each with its place; a click goes there. */
export function FindingList({ findings, onPick }: { findings: Finding[]; onPick?: (element: string) => void }) {
  const t = useText();
  const say = useFindingText();
  const names = useContext(Names);
  return (
    <Stack gap={4} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
      {findings.slice(0, SHOWN).map((f, n) => {
        const { what, detail, hint } = say(f);
        const body = (
          <>
            <Group gap={6} wrap="nowrap" align="flex-start">
              <Badge size="sm" tt="none" variant="light" color={COLOUR[f.severity] ?? "gray"} style={{ flex: "none" }}>
                {t(`designer.severity.${f.severity}`)}
              </Badge>
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                {what}
              </Text>
            </Group>
            {detail && (
              <Text size="xs" lang="en" style={{ overflowWrap: "anywhere" }}>
                {detail}
              </Text>
            )}
            <Text size="xs" c="dimmed" component="div">
              {f.element && names.get(f.element)} {f.element && <code>{f.element}</code>} {f.code}
              {f.line ? ` · ${t("designer.line", { line: f.line })}` : ""}
              {f.standard ? ` · ${f.chapter ? t("designer.standard", { chapter: f.chapter }) : t("designer.standard.any")}` : ""}
              {hint ? ` · ${hint}` : ""}
            </Text>
          </>
        );
        return (
          <li key={n}>
            {f.element && onPick ? (
              <UnstyledButton w="100%" p={4} className="fl-row-link" onClick={() => onPick(f.element!)}>
                {body}
              </UnstyledButton>
            ) : (
              <div style={{ padding: 4 }}>{body}</div>
            )}
          </li>
        );
      })}
      {findings.length > SHOWN && (
        <Text size="sm" c="dimmed" component="li">
          {t("designer.findings.more", { count: findings.length - SHOWN })}
        </Text>
      )}
    </Stack>
  );
}

export function Findings({ findings, current, onPick }: { findings: Finding[]; current: boolean; onPick: (element: string) => void }) {
  const t = useText();
  if (findings.length === 0)
    return current ? (
      <Empty title={t("designer.findings.none")}>
        <Icon name="check" />
      </Empty>
    ) : (
      <Text size="sm" c="dimmed" role="status">
        {t("designer.checking")}
      </Text>
    );
  return <FindingList findings={findings} onPick={onPick} />;
}
