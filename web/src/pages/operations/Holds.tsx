import { Button, Group, NumberInput, SegmentedControl, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards, TroubleCard } from "~/shared/Cards";
import { overWhat } from "~/shared/HeldBy";
import { PlaceHold, WITH_STARTS } from "~/shared/PlaceHold";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";

type Hold = RowOf<"/holds">;
const SHOWN: Record<string, string[]> = { held: ["held", "resuming"], released: ["released"] };

/** What is kept from going on, by whom and why; a new one, with how much it would be over; the release, at a rate. */
export function Holds() {
  const t = useText();
  const may = useMay("hold");
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const shown = search.status ?? "held";
  const [asked, setAsked] = useState(false);
  const list = useList("/holds", { status: SHOWN[shown] });
  useRefreshOn({ type: "hold.*" }, [["/holds", "list"]], 500);
  return (
    <>
      <Group justify="space-between" mb="sm">
        <SegmentedControl size="xs" aria-label={t("col.status")} value={shown} onChange={(v) => void navigate({ to: ".", search: { ...search, status: v } as Record<string, string>, replace: true })} data={Object.keys(SHOWN).map((s) => ({ value: s, label: t(`status.${s}`) }))} />
        {may && (
          <Button size="xs" variant="default" onClick={() => setAsked(true)}>
            {t("holds.place")}
          </Button>
        )}
      </Group>
      <Cards of={list} empty={<Empty title={t("holds.none")}>{t("holds.none.hint")}</Empty>}>
        {(hold) => <HoldCard of={hold} />}
      </Cards>
      {asked && <PlaceHold close={() => setAsked(false)} />}
    </>
  );
}

function HoldCard({ of: hold }: { of: Hold }) {
  const t = useText();
  const may = useMay("hold", hold);
  const client = useQueryClient();
  const [asked, setAsked] = useState(false);
  const [rate, setRate] = useState<number | string>(0);
  return (
    <TroubleCard
      title={`${t(`holds.mode.${hold.mode}`)}: ${overWhat(t, hold)}`}
      status={hold.status}
      since={hold.created_at}
      ended={hold.released_at}
      by={hold.released_by}
      message={hold.reason ?? ""}
      about={
        <>
          {hold.created_by && <Text size="xs">{hold.created_by}</Text>}
          {hold.until && (
            <Text size="xs">
              {t("holds.until")} <When at={hold.until} />
            </Text>
          )}
          {WITH_STARTS.has(hold.scope) && <Text size="xs">{t(`holds.starts.${hold.starts}`)}</Text>}
          {hold.children === false && <Text size="xs">{t("holds.alone")}</Text>}
          {hold.rate && <Text size="xs">{t("holds.at", { n: hold.rate })}</Text>}
        </>
      }
    >
      {hold.released_why && <Text size="sm">{t("holds.why", { reason: hold.released_why })}</Text>}
      {hold.status !== "released" && may && (
        <Group gap="xs" mt="xs">
          <Button size="compact-sm" onClick={() => setAsked(true)}>
            {t("holds.release")}
          </Button>
        </Group>
      )}
      {asked && (
        <Ask
          title={t("holds.release")}
          what={t("holds.release.what")}
          ready={typeof rate === "number"}
          close={() => setAsked(false)}
          go={async (reason) => {
            await send("POST", `/holds/${hold.id}/release`, { reason, rate: Number(rate) });
            notifications.show({ message: t("holds.release.done"), color: "teal" });
            await client.invalidateQueries({ queryKey: ["/holds"] });
          }}
        >
          {hold.scope !== "instance" && <NumberInput label={t("holds.rate")} description={t("holds.rate.hint")} min={0} max={1_000_000} allowDecimal={false} value={rate} onChange={setRate} data-autofocus />}
        </Ask>
      )}
    </TroubleCard>
  );
}
