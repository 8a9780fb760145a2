import { Autocomplete, Button, Group, Paper, Select, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { empty, OPERATORS, OWN, read, whole, write, type Condition, type Groups, type Operator } from "./where";

/** Conditions on variables and on what an instance is itself: those of a group hold together, one group is enough. They become `where` of the address. */
export function Where({ where, set }: { where: string; set: (where: string | undefined) => void }) {
  const t = useText();
  const known = where ? read(where) : [[empty()]];
  const [groups, setGroups] = useState<Groups>(known ?? [[empty()]]);
  const [asText, setAsText] = useState(known === undefined);
  const [shown, setShown] = useState(where);
  if (shown !== where) {
    // another view was chosen, or the filter cleared: the address is what counts
    setShown(where);
    if (write(groups) !== where) setGroups(known ?? [[empty()]]);
    if (known === undefined) setAsText(true);
  }
  const apply = (next: Groups) => {
    setGroups(next);
    const text = write(next);
    if (text !== where) set(text || undefined);
  };
  const change = (g: number, n: number, more: Partial<Condition>) => groups.map((group, k) => (k === g ? group.map((c, m) => (m === n ? { ...c, ...more } : c)) : group));
  const drop = (g: number, n: number) => {
    const left = groups.map((group, k) => (k === g ? group.filter((_, m) => m !== n) : group)).filter((group) => group.length > 0);
    apply(left.length ? left : [[empty()]]);
  };
  if (asText)
    return (
      <Stack gap={4} mb="sm">
        <Textarea
          label={t("where.text")}
          description={t("where.text.hint")}
          size="xs"
          autosize
          maxRows={6}
          maxLength={2000}
          key={where}
          defaultValue={where}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || e.shiftKey) return;
            e.preventDefault();
            set(e.currentTarget.value.trim() || undefined);
          }}
          onBlur={(e) => e.currentTarget.value.trim() !== where && set(e.currentTarget.value.trim() || undefined)}
        />
        <Button size="compact-xs" variant="subtle" w="fit-content" disabled={known === undefined} title={known === undefined ? t("where.rows.no") : undefined} onClick={() => {
            setGroups(known ?? [[empty()]]);
            setAsText(false);
          }}
        >
          {t("where.rows")}
        </Button>
      </Stack>
    );
  return (
    <Stack gap={6} mb="sm" role="group" aria-label={t("where.title")}>
      {groups.map((group, g) => (
        <Stack key={g} gap={6}>
          {g > 0 && (
            <Text size="xs" fw={600} tt="uppercase" c="dimmed">
              {t("where.or")}
            </Text>
          )}
          <Paper withBorder={groups.length > 1} p={groups.length > 1 ? "xs" : 0} bg="transparent" role={groups.length > 1 ? "group" : undefined} aria-label={groups.length > 1 ? t("where.group", { n: g + 1 }) : undefined}>
            <Stack gap={6}>
              {group.map((c, n) => (
                <Row
                  key={n}
                  of={c}
                  first={g === 0 && n === 0}
                  word={n > 0 ? t("where.and") : group.length > 1 ? "" : undefined}
                  change={(more) => setGroups(change(g, n, more))}
                  done={(more) => apply(change(g, n, more ?? {}))}
                  drop={groups.length > 1 || group.length > 1 || whole(c) ? () => drop(g, n) : undefined}
                />
              ))}
              <Group gap={4}>
                <Button size="compact-xs" variant="subtle" leftSection={<Icon name="plus" size={11} />} disabled={!group.every(whole)} onClick={() => setGroups(groups.map((each, k) => (k === g ? [...each, empty()] : each)))}>
                  {t("where.and")}
                </Button>
                {g === groups.length - 1 && (
                  <>
                    <Button size="compact-xs" variant="subtle" leftSection={<Icon name="plus" size={11} />} disabled={!group.every(whole)} onClick={() => setGroups([...groups, [empty()]])}>
                      {t("where.or")}
                    </Button>
                    <Button size="compact-xs" variant="subtle" color="gray" onClick={() => setAsText(true)}>
                      {t("where.astext")}
                    </Button>
                  </>
                )}
              </Group>
            </Stack>
          </Paper>
        </Stack>
      ))}
    </Stack>
  );
}

interface RowProps {
  of: Condition;
  first: boolean;
  /** how it is joined with the row before; undefined: it is alone */
  word?: string;
  change: (more: Partial<Condition>) => void;
  done: (more?: Partial<Condition>) => void;
  drop?: () => void;
}

/** `path operator value`; the value is a number, true, false or null, and a text otherwise. */
function Row({ of: c, first, word, change, done, drop }: RowProps) {
  const t = useText();
  const enter = (e: { key: string }) => e.key === "Enter" && done();
  return (
    <Group gap={4} align="end" pos="relative" pl={word === undefined ? 0 : 34}>
      {word && (
        <Text size="xs" c="dimmed" lh="30px" pos="absolute" left={0} top={0}>
          {word}
        </Text>
      )}
      <Autocomplete label={first ? t("instances.variable") : undefined} aria-label={t("instances.variable")} placeholder="order.amount" size="xs" w={{ base: 150, xs: 200 }} data={OWN} limit={12} value={c.path} onChange={(path) => change({ path })} onKeyDown={enter} onBlur={() => done()} maxLength={400} spellCheck={false} />
      <Select aria-label={t("instances.operator")} size="xs" w={118} allowDeselect={false} value={c.op} onChange={(op) => done({ op: (op ?? "=") as Operator })} data={OPERATORS.map((value) => ({ value, label: t(`where.op.${value}`) }))} />
      {c.op !== "is defined" && <TextInput aria-label={t("instances.value")} placeholder={c.op === "in" ? "a, b" : "100"} size="xs" w={{ base: 110, xs: 160 }} value={c.value} onChange={(e) => change({ value: e.currentTarget.value })} onKeyDown={enter} onBlur={() => done()} maxLength={1000} />}
      {drop && (
        <Button size="xs" variant="subtle" color="gray" px={6} onClick={drop} aria-label={t("where.drop", { name: c.path || "–" })}>
          <Icon name="close" size={12} />
        </Button>
      )}
    </Group>
  );
}
