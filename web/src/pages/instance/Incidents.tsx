import { useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";
import { useText } from "~/i18n";
import { IncidentCard } from "~/shared/IncidentCard";
import { Answer, Empty } from "~/shared/states";

/** All that ever stood in its way; the open ones first. */
export function Incidents({ instance, element, disabled }: { instance: string; element?: string; disabled: boolean }) {
  const t = useText();
  const q = useQuery({ queryKey: ["incidents", instance], queryFn: ({ signal }) => get("/incidents", { instance, limit: 500 }, signal), refetchInterval: 2000 });
  return (
    <Answer of={q} empty={(p) => p.items.length === 0 && <Empty title={t("instance.incidents.none")} />}>
      {(p) =>
        [...p.items]
          .filter((i) => !element || i.element === element)
          .sort((a, b) => Number(b.status === "open") - Number(a.status === "open"))
          .map((i) => <IncidentCard key={i.id} of={i} disabled={disabled} />)
      }
    </Answer>
  );
}
