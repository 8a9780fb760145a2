import { Badge, Button, Code, Group, Paper, Stack, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import type { AnswerOf } from "~/api/types";
import { useLanguage, useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer, Empty, Failed } from "~/shared/states";
import { When } from "~/shared/time";
import { long, percent, type Part } from "./parts";
import { useWork } from "~/shared/work";

type Piece = AnswerOf<"GET", "/advice">["items"][number];
type Deed = "apply" | "refuse";
const COLOURS = { open: "blue", applied: "green", refused: "gray" } as const;

/** What would make a process faster: what speaks for it, what it would gain, and what becomes of it. */
export function Advice({ process }: Part) {
  const t = useText();
  const may = useMay("learn");
  const client = useQueryClient();
  const { busy, error, run } = useWork();
  const [said, setSaid] = useState("");
  const [asked, setAsked] = useState<{ piece: Piece; deed: Deed }>();
  const found = useQuery({ queryKey: ["advice", process], queryFn: ({ signal }) => get("/advice", { process }, signal) });
  const again = () => client.invalidateQueries({ queryKey: ["advice", process] });
  const look = () =>
    run(async () => {
      const told = await send("POST", "/advice", { process });
      setSaid(t("advice.looked", { looked: told.looked, from: told.learned_from, found: told.items.length }));
      await again();
    });
  return (
    <>
      <Group justify="space-between" mb="sm">
        <Text size="sm">{t("advice.what")}</Text>
        {may && (
          <Button size="xs" variant="default" loading={busy} onClick={() => void look()}>
            {t("advice.look")}
          </Button>
        )}
      </Group>
      {error !== undefined && <Failed error={error} />}
      <Text size="sm" mb="xs" role="status">
        {busy ? t("advice.looking") : said}
      </Text>
      <Answer of={found} empty={(d) => d.items.length === 0 && <Empty title={t("advice.none")}>{t("advice.none.hint")}</Empty>}>
        {(d) => (
          <Stack gap="sm">
            {d.items.map((piece) => (
              <One key={piece.id} piece={piece} may={may} ask={(deed) => setAsked({ piece, deed })} />
            ))}
          </Stack>
        )}
      </Answer>
      {asked && (
        <Ask
          title={t(`advice.${asked.deed}.of`, { elements: asked.piece.about })}
          what={asked.deed === "refuse" ? t("advice.refuse.what") : t(`advice.apply.${Object.keys(asked.piece.setting).length ? "setting" : Object.keys(asked.piece.draft).length ? "draft" : "people"}`)}
          close={() => setAsked(undefined)}
          go={async (reason) => {
            await send("POST", `/advice/${asked.piece.id}/${asked.deed}`, { reason });
            await again();
          }}
        />
      )}
    </>
  );
}

function One({ piece, may, ask }: { piece: Piece; may: boolean; ask: (deed: Deed) => void }) {
  const t = useText();
  const { language } = useLanguage();
  const { gain } = piece;
  const draft = typeof piece.result?.draft === "string" ? piece.result.draft : undefined;
  return (
    <Paper withBorder p="sm" component="section" aria-label={`${t(`advice.kind.${piece.kind}`)}: ${piece.about}`}>
      <Group justify="space-between" align="start" gap="xs">
        <div style={{ minWidth: 0, flex: "1 1 18rem" }}>
          <Group gap="xs">
            <Text fw={600}>{t(`advice.kind.${piece.kind}`)}</Text>
            <Badge color={COLOURS[piece.state]} variant="light">
              {t(`advice.state.${piece.state}`)}
            </Badge>
          </Group>
          <Text size="sm" style={{ overflowWrap: "anywhere" }}>
            {piece.elements.join(", ")}
          </Text>
        </div>
        <div>
          <Text fw={600}>{t("advice.gain", { gain: long(gain.mean_ms), share: percent(gain.share, language) })}</Text>
          <Text size="xs" c="dimmed">
            {t("advice.interval", { from: long(Math.max(0, gain.from_ms)), to: long(gain.to_ms) })} · {t(`advice.by.${gain.by}`)}
          </Text>
        </div>
      </Group>
      <Text size="sm" mt="xs">
        {sentence(t, piece)}
      </Text>
      {piece.caution && (
        <Text size="xs" c="dimmed">
          {t("advice.caution")} {piece.caution}
        </Text>
      )}
      <details>
        <Text size="xs" component="summary">
          {t("advice.figures")}
        </Text>
        <Code block>{JSON.stringify({ evidence: piece.evidence, setting: piece.setting, scenario: piece.scenario }, undefined, 1)}</Code>
      </details>
      <Group justify="space-between" mt="xs">
        <Text size="xs" c="dimmed">
          {t("advice.found", { from: piece.learned_from, version: piece.version })} <When at={piece.found} />
          {piece.at && (
            <>
              {" · "}
              {t(piece.state === "refused" ? "advice.done.refused" : "advice.done.applied", { by: piece.by || t("advice.somebody") })} <When at={piece.at} />
              {piece.reason ? `: ${piece.reason}` : ""}
            </>
          )}
        </Text>
        {draft && (
          <Button component={Link} to={`/designer/${draft}`} size="xs" variant="default">
            {t("advice.draft")}
          </Button>
        )}
        {may && piece.state === "open" && (
          <Group gap="xs">
            <Button size="xs" variant="default" onClick={() => ask("refuse")}>
              {t("advice.refuse")}
            </Button>
            <Button size="xs" onClick={() => ask("apply")}>
              {t("advice.apply")}
            </Button>
          </Group>
        )}
      </Group>
    </Paper>
  );
}

/** The figures that speak for it, in words. */
function sentence(t: ReturnType<typeof useText>, piece: Piece): string {
  const e = piece.evidence as Record<string, unknown>;
  const n = (name: string) => Number(e[name] ?? 0);
  const values: Record<string, string | number> = {
    pieces: n("pieces"), waits: long(n("waits_ms")), works: long(n("works_ms")), full: Math.round(n("waits_while_full") * 100), limit: n("limit"), proposed: n("proposed"), at: n("at_once"),
    times: n("times_longer"), day: typeof e.day === "string" ? t(`advice.day.${e.day}`) : "", daywaits: long(n("day_waits_ms")), otherwaits: long(n("other_days_wait_ms")), there: n("there"),
    code: typeof e.code === "string" ? e.code : "", tried: n("tried_again"), helped: n("helped"), lost: long(n("lost_ms")), passed: n("passed"), found: n("found"), takes: long(n("takes_ms")),
  };
  return t(`advice.says.${piece.kind}`, values);
}
