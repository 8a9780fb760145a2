import { Anchor, List, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { get } from "~/api/client";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { duration } from "~/shared/time";

type Found = AnswerOf<"get", `/tasks/${string}/recommendations`>;
type Person = Found["items"][number];
const SHOWN = 3;

/** Who would be done with it first, with what speaks for each. What is chosen instead is recorded with the reason. */
export function Recommended({ task, who, choose, first }: { task: string; who: string; choose: (name: string) => void; first: (name: string | undefined) => void }) {
  const t = useText();
  const q = useQuery({ queryKey: ["task", task, "recommendations"], retry: false, gcTime: 0, queryFn: async ({ signal }) => (await get(`/tasks/${task}/recommendations`, {}, signal)) as unknown as Found });
  const best = q.data?.items[0]?.name;
  useEffect(() => first(best), [best, first]);
  if (!q.data?.items.length) return null; // nobody of the directory is a candidate, or one may not know
  return (
    <div>
      <Text size="sm" fw={600}>
        {t("recommend.title")}
      </Text>
      <List size="sm" type="ordered" aria-label={t("recommend.title")}>
        {q.data.items.slice(0, SHOWN).map((p) => (
          <List.Item key={p.name}>
            <Anchor component="button" type="button" size="sm" aria-pressed={who === p.name} onClick={() => choose(p.name)}>
              {p.name}
            </Anchor>{" "}
            <Text span size="xs" c="dimmed">
              {says(p, t)}
            </Text>
          </List.Item>
        ))}
      </List>
      {best && who.trim() && who.trim() !== best && (
        <Text size="xs" c="orange" role="status">
          {t("recommend.override", { name: best })}
        </Text>
      )}
    </div>
  );
}

function says(p: Person, t: ReturnType<typeof useText>): string {
  const parts = p.reasons.map((r) => t(`recommend.${r.code}`, { n: r.code === "takes" ? duration(r.n ?? 0) : (r.n ?? 0), names: (r.names ?? []).join(", ") }));
  return [t("recommend.expected", { in: duration(p.expected_ms) }), ...parts].join(" · ");
}
