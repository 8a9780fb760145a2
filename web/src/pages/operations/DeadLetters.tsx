import { Anchor, Button, Code, Group, JsonInput, SegmentedControl, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards, TroubleCard } from "~/shared/Cards";
import { Empty } from "~/shared/states";

type Letter = RowOf<"/dead-letters">;
const SHOWN = ["open", "incident", "replayed", "discarded"];

/** Records that nobody could decide: what was wrong, replay as it is or edited, or discard. */
export function DeadLetters() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const status = search.status ?? "open";
  const list = useList("/dead-letters", { status });
  useRefreshOn({ type: "partition.*" }, [["/dead-letters", "list"]], 500);
  return (
    <>
      <SegmentedControl size="xs" mb="sm" aria-label={t("col.status")} value={status} onChange={(v) => void navigate({ to: ".", search: { ...search, status: v } as Record<string, string>, replace: true })} data={SHOWN.map((s) => ({ value: s, label: t(`status.${s}`) }))} />
      <Cards of={list} empty={<Empty title={t("letters.none")}>{t("letters.none.hint")}</Empty>}>
        {(letter) => <LetterCard of={letter} />}
      </Cards>
    </>
  );
}

function LetterCard({ of: letter }: { of: Letter }) {
  const t = useText();
  const may = useMay("letters", letter);
  const client = useQueryClient();
  const [way, setWay] = useState<"replay" | "discard">();
  const text = letter.encoding === "text" ? letter.command : "";
  const [command, setCommand] = useState(text);
  const parsed = (): unknown => {
    try {
      return JSON.parse(command);
    } catch {
      return undefined;
    }
  };
  const go = async (reason: string) => {
    if (way === "discard") await send("POST", `/dead-letters/${letter.id}/discard`, { reason });
    else await send("POST", `/dead-letters/${letter.id}/replay`, command === text ? { reason } : { reason, command: parsed() as never });
    notifications.show({ message: t(`letters.${way!}.done`), color: "teal" });
    await client.invalidateQueries({ queryKey: ["/dead-letters"] });
  };
  return (
    <TroubleCard
      title={t("letters.at", { source: letter.source })}
      status={letter.status}
      since={letter.created_at}
      ended={letter.closed_at}
      by={letter.closed_by}
      message={letter.message}
      about={
        <>
        {letter.sender !== null && letter.sender !== undefined && <Text size="xs">{t("letters.sender", { n: letter.sender })}</Text>}
        {letter.instance && (
          <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: letter.instance! }} {...props} />} size="sm">
            {letter.instance}
          </Anchor>
        )}
        </>
      }
    >
      {letter.reason && <Text size="sm">{t("letters.reason", { reason: letter.reason })}</Text>}
      <Code block mt={4} tabIndex={0} style={{ maxHeight: 160, overflow: "auto", whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
        {letter.command}
      </Code>
      {letter.size !== null && letter.size !== undefined && letter.size > letter.kept && <Text size="xs">{t("letters.kept", { kept: letter.kept, size: letter.size })}</Text>}
      {letter.status === "open" && may && (
        <Group gap="xs" mt="xs">
          <Button size="compact-sm" color="red" onClick={() => setWay("replay")}>
            {t("letters.replay")}
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => setWay("discard")}>
            {t("letters.discard")}
          </Button>
        </Group>
      )}
      {way && (
        <Ask title={t(`letters.${way}`)} what={t(`letters.${way}.what`)} danger={way === "discard"} ready={way === "discard" || command === text || parsed() !== undefined} close={() => setWay(undefined)} go={go}>
          {way === "replay" && <JsonInput label={t("letters.command")} value={command} onChange={setCommand} autosize minRows={6} maxRows={18} validationError={t("process.start.invalid")} data-autofocus />}
        </Ask>
      )}
    </TroubleCard>
  );
}
