import { Anchor, Button, Code, CopyButton, Group, Paper, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { carryOut, send } from "~/api/client";
import { useHasRight, useMay, useMe } from "~/api/me";
import type { Kept } from "~/api/second";
import type { Approval } from "~/api/types";
import { useText } from "~/i18n";
import { save } from "~/shared/save";
import { Failed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { WithReason } from "~/shared/WithReason";
import { pageOf } from "./rows";

/** What the server said once, to be kept by who reads it. */
export interface Outcome {
  text: string;
}

/** One of them: who asks for what and why, what has become of it, and what one may do about it. */
export function One({ of: a, kept, told }: { of: Approval; kept?: Kept; told: (outcome: Outcome) => void }) {
  const t = useText();
  const { actor } = useMe();
  const client = useQueryClient();
  const mayDecide = useMay("decide");
  const has = useHasRight();
  const [asked, setAsked] = useState<"approve" | "refuse">();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const again = () => client.invalidateQueries({ queryKey: ["/approvals"] });
  const about = pageOf(a.path);
  const mine = a.by === actor;
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const said = await carryOut(kept!);
      notifications.show({ message: t("approvals.done", { operation: a.operation }), color: "teal" });
      show(said, a, told);
      await client.invalidateQueries();
    } catch (e) {
      setError(e);
      await again();
    } finally {
      setBusy(false);
    }
  };
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={`${a.operation} ${a.by} ${a.id}`}>
      <Group justify="space-between" gap="xs" align="flex-start">
        <Group gap="xs" style={{ minWidth: 0 }}>
          <Code style={{ fontSize: 13 }}>{a.operation}</Code>
          <Status of={a.status} />
        </Group>
        <Group gap="xs">
          {!mine && a.status === "waiting" && mayDecide && has(a.right) && (
            <>
              <Button size="xs" onClick={() => setAsked("approve")}>
                {t("approvals.approve")}
              </Button>
              <Button size="xs" variant="default" c="red" onClick={() => setAsked("refuse")}>
                {t("approvals.refuse")}
              </Button>
            </>
          )}
          {mine && kept && (a.status === "approved" || a.status === "used") && (
            <Button size="xs" loading={busy} onClick={() => void go()}>
              {t("approvals.carry")}
            </Button>
          )}
        </Group>
      </Group>
      <Text size="sm" mt={4} style={{ overflowWrap: "anywhere" }}>
        <b>{a.method}</b> {about ? <Anchor size="sm" underline="always" renderRoot={(props) => <Link to={about} {...props} />}>{a.path}</Anchor> : a.path}
      </Text>
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        {t("approvals.by", { who: a.by })} <When at={a.asked_at} />
        {a.reason && `: ${a.reason}`}
      </Text>
      {a.decided_by && (
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {t(a.status === "refused" ? "approvals.refused.by" : "approvals.approved.by", { who: a.decided_by })} <When at={a.decided_at} />
          {a.answer && `: ${a.answer}`}
        </Text>
      )}
      {(a.status === "waiting" || a.status === "approved") && (
        <Text size="xs" c="dimmed">
          {t("approvals.until")} <When at={a.expires_at} exact />
          {!mine && a.status === "waiting" && mayDecide && !has(a.right) && ` · ${t("approvals.lacks", { right: a.right })}`}
          {mine && !kept && ` · ${t("approvals.elsewhere", { id: a.id })}`}
        </Text>
      )}
      {kept && <Words of={kept} />}
      {error !== undefined && <Failed error={error} />}
      {asked && (
        <WithReason
          title={t(`approvals.${asked}`)}
          what={t(`approvals.${asked}.what`, { who: a.by, operation: a.operation })}
          hint={t("approvals.reason.hint")}
          needed={asked === "refuse"}
          danger={asked === "refuse"}
          close={() => setAsked(undefined)}
          go={async (reason) => {
            await send("POST", `/approvals/${a.id}/${asked}` as `/approvals/${string}/approve`, { reason });
            notifications.show({ message: t(`approvals.${asked}.done`), color: "teal" });
            await again();
          }}
        />
      )}
    </Paper>
  );
}

/** What was typed, and how somebody who decides is told of it. */
function Words({ of: kept }: { of: Kept }) {
  const t = useText();
  const { method, url, body } = kept;
  const place = kept.at.split(/\?(.*)/s);
  return (
    <details>
      <summary style={{ cursor: "pointer", fontSize: 14, width: "fit-content" }}>{t("approvals.words")}</summary>
      <Code block mah={220} tabIndex={0} style={{ overflow: "auto" }}>
        {body ? pretty(body) : t("approvals.words.none")}
      </Code>
      <Group gap="xs" mt={4}>
        <CopyButton value={JSON.stringify({ method, url, body })}>
          {({ copied, copy }) => (
            <Button size="compact-xs" variant="default" onClick={copy}>
              {t(copied ? "copy.done" : "approvals.copy")}
            </Button>
          )}
        </CopyButton>
        <Anchor size="xs" renderRoot={(props) => <Link to={place[0]} search={Object.fromEntries(new URLSearchParams(place[1]))} {...props} />}>
          {t("approvals.place")}
        </Anchor>
      </Group>
    </details>
  );
}

export const pretty = (body: string): string => {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
};

/** What the page that asked would have shown: a file is saved, a key or link that is told once is shown. */
function show(said: unknown, a: Approval, told: (outcome: Outcome) => void) {
  if (said instanceof Blob) return save(`${a.operation}.${said.type.includes("html") ? "html" : said.type.includes("json") ? "json" : "bin"}`, said.type, said);
  const { key, link } = (said ?? {}) as { key?: unknown; link?: unknown };
  const text = [key, link].find((v) => typeof v === "string");
  if (text && (a.operation === "make_key" || typeof link === "string")) told({ text: String(text) });
}
