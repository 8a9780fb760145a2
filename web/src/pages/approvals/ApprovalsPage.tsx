import { Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useApprovals } from "~/api/approvals";
import { useMay, useMe, useSignIn } from "~/api/me";
import { forget, kept } from "~/api/second";
import { useText } from "~/i18n";
import { Once } from "~/shared/Once";
import { Answer, Empty, PageHead } from "~/shared/states";
import { Check } from "./Check";
import { One, type Outcome } from "./One";
import { rowsOf, type Tab } from "./rows";

const TABS: Tab[] = ["decide", "mine", "all"];
/** cards that are shown; an installation keeps 1,000 open at most */
const SHOWN = 100;
const SETTLED_MS = 60_000;

/** What waits for a second person: decided by somebody else, carried out by who asked. */
export function ApprovalsPage() {
  const t = useText();
  return useMay("approvals") ? <Approvals /> : <Empty title={t("approvals.maynot")}>{t("approvals.maynot.hint")}</Empty>;
}

function Approvals() {
  const t = useText();
  const { actor } = useMe();
  const named = useSignIn()?.second_person ?? [];
  const mayDecide = useMay("decide");
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const [once, setOnce] = useState<Outcome>();
  const q = useApprovals(true);
  const shown = TABS.filter((name) => name !== "decide" || mayDecide);
  const tab = shown.find((name) => name === search.tab) ?? shown[0]!;
  const mine = useMemo(() => {
    const there = new Map(q.data?.map((a) => [a.id, a.status]));
    // what is over, or forgotten: nothing can be done with it any more. A list that is older than the wish doesn't know it yet
    for (const k of q.data ? kept() : []) if (there.get(k.approval) === "expired" || (!there.has(k.approval) && k.since + SETTLED_MS < q.dataUpdatedAt)) forget(k.approval);
    return kept();
  }, [q.data, q.dataUpdatedAt]);
  const counts = q.data && { decide: rowsOf(q.data, "decide", actor).length, mine: rowsOf(q.data, "mine", actor).filter((a) => a.status === "waiting" || a.status === "approved").length };
  return (
    <>
      <PageHead title={t("approvals.title")} actions={mayDecide && <Check />}>
        {t("approvals.what")}
      </PageHead>
      <Tabs value={tab} onChange={(name) => void navigate({ to: ".", search: name ? { tab: name } : {}, replace: true })} keepMounted={false}>
        <Tabs.List mb="sm">
          {shown.map((name) => (
            <Tabs.Tab key={name} value={name}>
              {t(`approvals.${name}`)}
              {name !== "all" && counts?.[name] ? ` (${counts[name]})` : ""}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {shown.map((name) => (
          <Tabs.Panel key={name} value={name}>
            <Answer
              of={q}
              empty={(all) =>
                rowsOf(all, name, actor).length === 0 && (
                  <Empty title={t(`approvals.${name}.none`)}>{named.length ? t("approvals.named", { names: named.join(", ") }) : t("approvals.none.hint")}</Empty>
                )
              }
            >
              {(all) => {
                const rows = rowsOf(all, name, actor);
                return (
                  <>
                    {rows.slice(0, SHOWN).map((a) => (
                      <One key={a.id} of={a} kept={mine.find((k) => k.approval === a.id)} told={setOnce} />
                    ))}
                    {rows.length > SHOWN && t("approvals.more", { n: rows.length - SHOWN })}
                  </>
                );
              }}
            </Answer>
          </Tabs.Panel>
        ))}
      </Tabs>
      {once && <Once title={t("approvals.answer")} what={t("approvals.answer.what")} text={once.text} close={() => setOnce(undefined)} />}
    </>
  );
}
