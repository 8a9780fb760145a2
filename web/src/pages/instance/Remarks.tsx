import { Anchor } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import type { HistoryEvent } from "~/api/types";
import { useText } from "~/i18n";
import { Comments } from "~/shared/Comments";

/** Of the instance, and of its tasks. */
export const remarksOf = (events: HistoryEvent[], at?: string) => {
  const end = at ? events.findIndex((e) => e.id === at) : -1;
  return (end < 0 ? events : events.slice(0, end + 1)).filter((e) => e.type === "workflow.commented" || e.type === "task.commented");
};

/** What people say of this run: events of its history, so that they stay with it; also after its end. `names`: of elements, by id. */
export function Remarks({ instance, said, element, names, past, again }: { instance: string; said: HistoryEvent[]; element?: string; names?: Map<string, string>; past: boolean; again: () => Promise<unknown> }) {
  const t = useText();
  const may = useMay("remark");
  const called = (id: string) => names?.get(id) ?? id;
  const add = async (text: string) => {
    await send("POST", `/instances/${instance}/comment`, { text, ...(element ? { element } : {}) });
    await again();
  };
  return (
    <Comments
      title={element ? t("instance.comments.of", { element: called(element) }) : t("instance.tab.comments")}
      none={t("instance.comments.none")}
      said={element ? said.filter((e) => e.data.element === element) : said}
      say={may && !past ? add : undefined}
      about={(e) =>
        e.data.task ? (
          <>
            ·{" "}
            <Anchor size="xs" renderRoot={(props) => <Link to="/tasks/$id" params={{ id: String(e.data.task) }} {...props} />}>
              {t("instance.comments.task")}
            </Anchor>
          </>
        ) : e.data.element ? (
          `· ${called(String(e.data.element))}`
        ) : null
      }
    />
  );
}
