import { Alert, Anchor, Badge, Button, Checkbox, Group, Modal, Select, Stack, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { ApiError, send } from "~/api/client";
import type { Change, Draft, Finding } from "~/api/types";
import { useText } from "~/i18n";
import { Values, type ValuesHandle } from "~/shared/form/Values";
import { brief } from "~/shared/Json";
import { Answer, Failed } from "~/shared/states";
import { FindingList } from "./Findings";
import { useWork } from "~/shared/work";

const COLOURS = { added: "teal", removed: "red", moved: "blue", changed: "yellow" } as const;
/** changes that are shown; the rest is counted */
const SHOWN = 100;

interface Props {
  draft: Draft;
  name: string;
  text: string;
  base: number;
  dirty: boolean;
  save: () => Promise<Draft | undefined>;
  findings: Finding[];
  close: () => void;
  onPick: (element: string) => void;
}

/** What would change against what runs, what speaks against it, and then: deployed, and started. */
export function Deploy({ draft, name, text, base, dirty, save, findings, close, onPick }: Props) {
  const t = useText();
  const client = useQueryClient();
  const [keep, setKeep] = useState(dirty);
  const { busy, error, run } = useWork();
  const [made, setMade] = useState<{ definition_id: string; key: string; kind: string; version: number; duplicate: boolean }[]>();
  const q = useQuery({ queryKey: ["compare", name, text], queryFn: () => send("POST", "/models/compare", { name, content: text }) });
  const errors = findings.filter((f) => f.severity === "error");
  const go = () =>
    run(async () => {
      let version = base;
      if (keep && dirty) {
        const saved = await save();
        if (!saved) return close(); // the page asks what to do
        version = saved.version;
      }
      const answer = await send("POST", "/deployments", { resources: [{ name, content: text }], metadata: { draft: draft.id, ...(keep || !dirty ? { draft_version: version } : {}) } });
      setMade(answer.definitions as typeof made);
      await Promise.all([client.invalidateQueries({ queryKey: ["/definitions"] }), client.invalidateQueries({ queryKey: ["compare"] })]);
    });
  const refused = error instanceof ApiError && error.problem.findings ? (error.problem.findings as Finding[]) : undefined;
  return (
    <Modal opened onClose={close} size="lg" title={t(made ? "designer.deployed" : "designer.deploy.title", { name: draft.name })}>
      {made ? (
        <Deployed made={made} close={close} />
      ) : (
        <Stack>
          <Answer of={q}>
            {(d) => (
              <>
                {d.items.length === 0 && <Text size="sm">{t("designer.deploy.nothing")}</Text>}
                {d.items.map((item) => (
                  <Compared key={`${item.kind} ${item.id}`} id={item.id} kind={item.kind} version={item.version ?? undefined} changes={item.changes as unknown as Change[]} text={item.text} />
                ))}
              </>
            )}
          </Answer>
          {errors.length > 0 && (
            <Alert color="red" variant="light" title={t("designer.deploy.errors", { count: errors.length })}>
              <FindingList findings={errors} onPick={onPick} />
            </Alert>
          )}
          {errors.length === 0 && findings.length > 0 && <Text size="sm">{t("designer.deploy.warnings", { count: findings.length })}</Text>}
          {dirty && <Checkbox checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} label={t("designer.deploy.save")} />}
          {refused ? <FindingList findings={refused} onPick={onPick} /> : error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t("cancel")}
            </Button>
            <Button onClick={() => void go()} loading={busy} disabled={errors.length > 0}>
              {t("designer.deploy")}
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

function Compared({ id, kind, version, changes, text }: { id: string; kind: string; version?: number; changes: Change[]; text: string }) {
  const t = useText();
  return (
    <section>
      <Group gap="xs">
        <Text fw={600}>{id}</Text>
        <Text size="sm" c="dimmed">
          {t(`designer.defines.${kind}`)}
        </Text>
        <Badge variant="light" color={version === undefined ? "teal" : "gray"} tt="none">
          {version === undefined ? t("designer.deploy.first") : changes.length || text ? t("designer.deploy.next", { version }) : t("designer.deploy.same", { version })}
        </Badge>
      </Group>
      <Stack gap={2} mt={4} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
        {changes.slice(0, SHOWN).map((c) => (
          <li key={`${c.change} ${c.id}`}>
            <Group gap={6} wrap="nowrap" align="flex-start">
              <Badge size="sm" variant="light" tt="none" color={COLOURS[c.change]} style={{ flex: "none" }}>
                {t(`compare.${c.change}`)}
              </Badge>
              <div style={{ minWidth: 0 }}>
                <Text size="sm" span>
                  {c.name || c.id}{" "}
                  <Text span size="xs" c="dimmed">
                    {c.type}
                  </Text>
                </Text>
                {(c.fields ?? []).slice(0, 8).map((f) => (
                  <Text key={f.field} size="xs" style={{ overflowWrap: "anywhere" }}>
                    {f.field}: <del className="fl-mono">{f.from === null ? "–" : brief(f.from, 80)}</del> → <ins className="fl-mono">{f.to === null ? "–" : brief(f.to, 80)}</ins>
                  </Text>
                ))}
              </div>
            </Group>
          </li>
        ))}
      </Stack>
      {changes.length > SHOWN && <Text size="sm">{t("designer.deploy.more", { count: changes.length - SHOWN })}</Text>}
      {version !== undefined && changes.length === 0 && text !== "" && <Text size="sm">{t("compare.textonly")}</Text>}
    </section>
  );
}

/** What is there now; a process can be started at once. */
function Deployed({ made, close }: { made: { definition_id: string; key: string; kind: string; version: number; duplicate: boolean }[]; close: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const handle = useRef<ValuesHandle>(null);
  const processes = made.filter((m) => m.kind === "process");
  const [which, setWhich] = useState(processes[0]?.key);
  const { busy, error, run } = useWork();
  const start = async () => {
    const variables = handle.current?.take();
    if (!variables || !which) return;
    await run(async () => {
      const begun = await send("POST", "/instances", { definition: which, variables });
      void navigate({ to: "/instances/$id", params: { id: begun.id } });
    });
  };
  return (
    <Stack>
      {made.map((m) => (
        <Text size="sm" key={m.key}>
          {m.kind === "process" || m.kind === "decision" ? <Anchor renderRoot={(props) => <Link {...props} to={m.kind === "process" ? "/processes/$id" : "/decisions/$id"} params={{ id: m.definition_id }} />}>{m.definition_id}</Anchor> : m.definition_id}{" "}
          {t(m.duplicate ? "designer.deployed.same" : "designer.deployed.version", { version: m.version })}
        </Text>
      ))}
      {processes.length > 0 && (
        <>
          {processes.length > 1 && <Select label={t("col.process")} value={which} onChange={(v) => setWhich(v ?? undefined)} data={processes.map((p) => ({ value: p.key, label: p.definition_id }))} allowDeselect={false} />}
          <Values form={undefined} definition={which} data={{}} handle={handle} label={t("process.start.variables")} />
          {error !== undefined && <Failed error={error} />}
        </>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={close}>
          {t("designer.close")}
        </Button>
        {processes.length > 0 && (
          <Button onClick={() => void start()} loading={busy}>
            {t("process.start")}
          </Button>
        )}
      </Group>
    </Stack>
  );
}
