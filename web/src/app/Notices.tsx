import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { get } from "~/api/client";
import { useRefreshOn } from "~/api/live";
import { useMe } from "~/api/me";
import { useText } from "~/i18n";
import { fresh, useNotices } from "./notices";

/** new ones that are told one by one; more are told in one */
const EACH_MAX = 3;

/** Tells of new tasks of who acts, also when the tab isn't seen. Nothing is asked of the server while it is off. */
export function Notices() {
  const on = useNotices();
  const { actor } = useMe();
  return on && actor ? <Watching key={actor} actor={actor} /> : null;
}

function Watching({ actor }: { actor: string }) {
  const t = useText();
  const navigate = useNavigate();
  const known = useRef<Set<string>>(undefined);
  const q = useQuery({ queryKey: ["/tasks", "notices", actor], refetchIntervalInBackground: true, networkMode: "always", queryFn: ({ signal }) => get("/tasks", { assignee: actor, open: true, sort: "created", limit: 100 } as never, signal) });
  useRefreshOn({ type: "task.*" }, [["/tasks", "notices", actor]], 1500, true, true);
  const rows = q.data?.items;
  useEffect(() => {
    if (!rows) return;
    const came = fresh(known.current, rows);
    known.current = new Set([...(known.current ?? []), ...rows.map((r) => r.id)]);
    const show = (title: string, body: string, tag: string, go: () => unknown) => {
      const notice = new Notification(title, { body, tag });
      notice.onclick = () => {
        window.focus();
        void go();
        notice.close();
      };
    };
    if (came.length > EACH_MAX) show(t("notices.many", { n: came.length }), "", "flowledger-tasks", () => navigate({ to: "/tasks", search: { view: "mine" } }));
    else for (const task of came) show(t("notices.one", { name: task.name || task.element || "" }), task.process ?? "", `flowledger-task-${task.id}`, () => navigate({ to: "/tasks/$id", params: { id: task.id } }));
  }, [rows, navigate, t]);
  return null;
}
