import "~/i18n/for-insight";
import { Anchor, Button, Group, Select } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { get } from "~/api/client";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Answer, Empty, PageHead } from "~/shared/states";
import { LAST, LASTS, lastOf, spanOf, type Search } from "./asked";
import { Card } from "./kpis/Card";
import { Edit } from "./kpis/Edit";
import { type Kpi, type Promise_, sorted } from "./kpis/kpi";
import { Fresh } from "./parts";

const LATER_MS = 30_000;

/** Figures of one's own: how promises are kept, and what is open is late or at risk; times, costs and values. */
export function KpisPage() {
  const t = useText();
  return useMay("insight") ? <Kpis /> : <Empty title={t("insight.maynot")}>{t("insight.maynot.hint")}</Empty>;
}

function Kpis() {
  const t = useText();
  const writes = useMay("learn");
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const [making, setMaking] = useState(false);
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: Object.fromEntries(Object.entries({ ...search, ...more }).filter(([, v]) => v)) as Search, replace: true });
  const known = useQuery({ queryKey: ["/kpis"], queryFn: ({ signal }) => get("/kpis", { limit: 1000 }, signal) });
  const promises = useQuery({
    queryKey: ["insight", "/reports/sla", search.last],
    placeholderData: keepPreviousData,
    refetchInterval: LATER_MS, // something becomes late though nothing happens
    queryFn: ({ signal }) => get("/reports/sla", spanOf(search, Date.now()) as never, signal),
  });
  useRefreshOn({}, [["insight"]], 5000);
  const make = writes && (
    <Button size="xs" leftSection={<Icon name="plus" size={13} />} onClick={() => setMaking(true)}>
      {t("kpis.new")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("kpis.title")} actions={make}>
        {t("kpis.what")}{" "}
        <Anchor component={Link} to="/insight" size="sm" underline="always">
          {t("alerts.figures")}
        </Anchor>
      </PageHead>
      <Group mb="sm">
        <Select label={t("insight.time")} size="xs" w={150} allowDeselect={false} value={lastOf(search) ?? LAST} data={Object.keys(LASTS).map((value) => ({ value, label: t(`insight.last.${value}`) }))} onChange={(value) => set({ last: value === LAST ? undefined : (value ?? undefined) })} />
      </Group>
      <Answer of={promises}>
        {(d) => (
          <Answer of={known}>
            {(all) => {
              const rows = sorted(all.items as unknown as Kpi[], d.items as unknown as Promise_[]);
              return rows.length === 0 ? (
                <Empty title={t("kpis.none")} action={make}>
                  {t("kpis.none.hint")}
                </Empty>
              ) : (
                <>
                  {rows.map(({ kpi, promise }) => (
                    <Card key={kpi.name} of={kpi} promise={promise} search={search} set={set} writes={writes} />
                  ))}
                  <Fresh of={promises} />
                </>
              );
            }}
          </Answer>
        )}
      </Answer>
      {making && <Edit close={() => setMaking(false)} />}
    </>
  );
}
