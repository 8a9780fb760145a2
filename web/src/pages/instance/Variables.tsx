import { Anchor, Grid, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { HistoryEvent, InstanceState } from "~/api/types";
import { useText } from "~/i18n";
import { useNarrow } from "~/shared/Folded";
import { brief, Json } from "~/shared/Json";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { elsewhere as found } from "./elsewhere";

/** What it knows, by scope, and who wrote it when. Of an element: its own, and those that all see. */
export function Variables({ state, events, element, at, names }: { state: InstanceState; events: HistoryEvent[]; element?: string; at?: string; names?: Map<string, string> }) {
  const t = useText();
  const narrow = useNarrow();
  const writers = useMemo(() => {
    const found = new Map<string, HistoryEvent>();
    for (const e of events) {
      const set = e.data.variables;
      if (set && typeof set === "object") for (const name of Object.keys(set)) found.set(`${e.type === "variable.set" ? String(e.data.scope) : state.instance}.${name}`, e);
      if (e.id === at) break;
    }
    return found;
  }, [events, at, state.instance]);
  const scopes: { scope: string; name: string; values: Record<string, unknown> }[] = [
    { scope: state.instance, name: t("instance.scope.root"), values: state.variables },
    ...state.tokens.filter((k) => (!element || k.element === element) && k.variables && Object.keys(k.variables).length > 0).map((k) => ({ scope: k.token, name: names?.get(k.element) ?? k.element, values: k.variables! })),
  ];
  if (scopes.every((s) => Object.keys(s.values).length === 0)) return <Empty title={t("instance.variables.none")} />;
  return (
    <Grid>
      {scopes.map((s) => (
        <Grid.Col key={s.scope} span={12}>
          <Text fw={600} size="sm" mb={4}>
            {s.name}
          </Text>
          <Table verticalSpacing={4} layout="fixed">
            <Table.Tbody>
              {Object.entries(s.values).map(([name, value]) => {
                const writer = writers.get(`${s.scope}.${name}`);
                const origin = (
                  <>
                    {found(name, value) && s.scope === state.instance && (
                      <Anchor size="xs" mr="xs" renderRoot={(props) => <Link to="/instances" search={found(name, value)!} {...props} />} aria-label={t("variables.elsewhere.of", { name })}>
                        {t("variables.elsewhere")}
                      </Anchor>
                    )}
                    {writer && (
                      <Text span size="xs" c="dimmed">
                        <When at={writer.time} /> {writer.actor}
                      </Text>
                    )}
                  </>
                );
                return (
                  <Table.Tr key={name}>
                    <Table.Td w={narrow ? "34%" : "22%"} className="fl-cut">
                      {name}
                    </Table.Td>
                    <Table.Td>
                      {typeof value === "object" && value !== null ? (
                        <details>
                          <summary className="fl-mono fl-cut">{brief(value)}</summary>
                          <Json value={value} />
                        </details>
                      ) : (
                        <span className="fl-mono">{brief(value)}</span>
                      )}
                      {narrow && <div>{origin}</div>}
                    </Table.Td>
                    {!narrow && <Table.Td w="24%">{origin}</Table.Td>}
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Grid.Col>
      ))}
    </Grid>
  );
}
