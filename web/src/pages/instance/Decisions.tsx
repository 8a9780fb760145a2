import { Anchor, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { HistoryEvent } from "~/api/types";
import { useText } from "~/i18n";
import { DecisionTrace, type Traced } from "~/shared/DecisionTrace";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";

/** Every decision that was evaluated up to the moment shown: inputs, rules that fired, outcome. */
export function Decisions({ events, element, at, names }: { events: HistoryEvent[]; element?: string; at?: string; names?: Map<string, string> }) {
  const t = useText();
  const end = at ? events.findIndex((e) => e.id === at) + 1 || events.length : events.length;
  const found = events.slice(0, end).filter((e) => e.type === "decision.evaluated" && (!element || e.data.element === element));
  if (found.length === 0) return <Empty title={t("instance.decisions.none")} />;
  return (
    <>
      {[...found].reverse().map((e) => (
        <div key={e.id} style={{ marginBottom: 12 }}>
          <Text size="sm" mb={4} component="div">
            <When at={e.time} exact /> · {names?.get(String(e.data.element)) ?? String(e.data.element)} ·{" "}
            <Anchor underline="always" renderRoot={(props) => <Link to="/decisions/$id" params={{ id: String(e.data.decision) }} search={e.data.version ? { version: String(e.data.version) } : {}} {...props} />} size="sm">
              {String(e.data.decision)} v{String(e.data.version)}
            </Anchor>
          </Text>
          <DecisionTrace trace={(e.data.trace as Traced[] | null) ?? [{ kind: "decision", id: String(e.data.decision), name: "", inputs: {}, value: e.data.result }]} />
        </div>
      ))}
    </>
  );
}
