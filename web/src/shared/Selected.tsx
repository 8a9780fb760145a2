import { Button, Checkbox, Group, Text } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { send } from "~/api/client";
import type { BodyOf } from "~/api/types";
import { useText } from "~/i18n";
import { Bulk } from "./Bulk";
import type { Column } from "./RowList";

type Body = BodyOf<"POST", "/batches">;

/** One thing that can be done to many: `fields` ask for its `params`, which are whole when it is `ready`. */
export interface ManyAction {
  action: Body["action"];
  danger?: boolean;
  /** a sentence more on what it does */
  what?: string;
  params?: Record<string, unknown>;
  fields?: ReactNode;
  ready?: boolean;
}

/** Which rows are chosen, and the column that chooses them. */
export function useChosen<T extends { id: string }>(rows: T[]) {
  const t = useText();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const choose = (id: string) => setChosen((was) => new Set(was.has(id) ? [...was].filter((k) => k !== id) : [...was, id]));
  const column: Column<T> = {
    key: "choose",
    head: <Checkbox size="xs" aria-label={t("bulk.choose.all")} checked={rows.length > 0 && rows.every((r) => chosen.has(r.id))} onChange={(e) => setChosen(new Set(e.currentTarget.checked ? rows.map((r) => r.id) : []))} />,
    width: "1.5rem",
    cell: (r) => <Checkbox size="xs" aria-label={t("bulk.choose", { id: r.id })} checked={chosen.has(r.id)} onChange={() => choose(r.id)} />,
  };
  return { ids: [...chosen], clear: () => setChosen(new Set()), column };
}

interface Props {
  title: string;
  of: "instances" | "tasks";
  ids: string[];
  /** where none is chosen it is done to all that are found; undefined: only to what is chosen */
  filter?: Record<string, string>;
  actions: ManyAction[];
  clear: () => void;
  /** forget what was asked for */
  onAsk?: () => void;
}

/** What can be done to the chosen rows, or, where none is chosen, to all that the filter finds: looked at before, then a batch. */
export function Selected({ title, of, ids, filter, actions, clear, onAsk }: Props) {
  const t = useText();
  const [asked, setAsked] = useState<Body["action"]>();
  const now = actions.find((a) => a.action === asked);
  if (actions.length === 0 || (ids.length === 0 && !filter)) return null;
  return (
    <Group mb="sm" gap="xs" role="group" aria-label={title}>
      <Text size="sm">{ids.length ? t("bulk.chosen", { n: ids.length }) : t("bulk.found")}</Text>
      {actions.map((a) => (
        <Button
          key={a.action}
          size="compact-sm"
          variant="default"
          c={a.danger ? "red" : undefined}
          onClick={() => {
            onAsk?.();
            setAsked(a.action);
          }}
        >
          {t(`batch.${a.action}`)}
        </Button>
      ))}
      {ids.length > 0 && (
        <Button size="compact-sm" variant="subtle" onClick={clear}>
          {t("bulk.clear")}
        </Button>
      )}
      {now && (
        <Bulk
          title={t(`batch.${now.action}`)}
          what={`${t(ids.length ? `bulk.what.chosen.${of}` : "bulk.what.found")}${now.what ? ` ${now.what}` : ""}`}
          danger={now.danger}
          ready={now.ready}
          listed={ids.length > 0}
          close={() => setAsked(undefined)}
          ask={(more) => send("POST", "/batches", { action: now.action, of, ...(more.dry_run ? previewed(now) : { params: now.params ?? {} }), ...(ids.length ? { ids } : { filter: filter ?? {} }), ...more })}
        >
          {now.fields}
        </Bulk>
      )}
    </Group>
  );
}

/** What is looked at before all of it was given. */
const previewed = (a: ManyAction) => ({ params: a.ready === false ? Object.fromEntries(Object.keys(a.params ?? {}).map((k) => [k, "?"])) : (a.params ?? {}) });
