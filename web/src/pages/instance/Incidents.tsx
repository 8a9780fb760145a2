import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "~/api/client";
import { useText } from "~/i18n";
import { IncidentCard } from "~/shared/IncidentCard";
import { Answer, Empty } from "~/shared/states";
import { incidentsAt, type Moment } from "./past";

/** All that ever stood in its way, or had by a `moment` of the past; the open ones first. `names`: of elements, by id. */
export function Incidents({ instance, element, names, moment }: { instance: string; element?: string; names?: Map<string, string>; moment?: Moment }) {
  const t = useText();
  const q = useQuery({ queryKey: ["incidents", instance], queryFn: ({ signal }) => get("/incidents", { instance, limit: 500 }, signal), refetchInterval: 2000 });
  const all = q.data?.items;
  const rows = useMemo(() => (all && moment ? incidentsAt(all, moment) : (all ?? [])), [all, moment]);
  return (
    <Answer of={q} empty={() => rows.length === 0 && <Empty title={t(moment ? "instance.incidents.none.then" : "instance.incidents.none")} />}>
      {() =>
        rows
          .filter((i) => !element || i.element === element)
          .sort((a, b) => Number(b.status === "open") - Number(a.status === "open"))
          .map((i) => <IncidentCard key={i.id} of={i} disabled={moment !== undefined} name={names?.get(i.element ?? "")} />)
      }
    </Answer>
  );
}
