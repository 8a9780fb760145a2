import { ActionIcon, Button, Group, Paper, Select, Stack, Text, Textarea, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Plan, StateToken } from "~/api/types";
import { useText } from "~/i18n";
import { Values, type ValuesHandle } from "~/shared/form/Values";
import { Icon } from "~/shared/icons";
import { Failed } from "~/shared/states";
import type { Begun } from "./begun";
import { Preview } from "./Preview";
import { instructions, nodesOf, scopesOf, type Step } from "./steps";
import { usePlan } from "./usePlan";

interface Props {
  instance: string;
  xml: string;
  tokens: StateToken[];
  /** what is chosen on the drawing */
  element?: string;
  onElement: (element: string | undefined) => void;
  onPlan: (plan: Plan | undefined) => void;
  /** asked for on the drawing */
  begun?: Begun;
  close: () => void;
}

/** Tokens put, moved and withdrawn by hand: chosen on the drawing or from the list, as many steps as it takes, seen before it is done, done at once. */
export function Modify({ instance, xml, tokens, element, onElement, onPlan, begun, close }: Props) {
  const t = useText();
  const client = useQueryClient();
  const [steps, setSteps] = useState<Step[]>([]);
  const [moving, setMoving] = useState<string>();
  const [force, setForce] = useState(false);
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const panel = useRef<HTMLElement>(null);
  const nodes = useMemo(() => nodesOf(xml).filter((n) => !n.attached), [xml]);
  const node = nodes.find((n) => n.id === element);
  const name = (id: string) => nodes.find((n) => n.id === id)?.name || id;
  const here = (id: string) => tokens.some((token) => token.element === id);
  const add = (step: Step) => setSteps((before) => [...before, step]);
  const put = (n: number, step: Step | undefined) => setSteps((before) => before.flatMap((s, i) => (i === n ? (step ? [step] : []) : [s])));
  const wish = useMemo(() => (steps.length ? { instructions: instructions(steps), ...(force ? { force } : {}) } : undefined), [steps, force]);
  const asked = usePlan(instance, "modify", wish);
  useEffect(() => onPlan(asked.plan), [asked.plan, onPlan]);
  useEffect(() => () => onPlan(undefined), [onPlan]);
  useEffect(() => {
    if (!begun) return;
    if (begun.kind === "move") setMoving(begun.element);
    else add({ kind: begun.kind, element: begun.element });
    panel.current?.scrollIntoView?.({ block: "nearest" });
    panel.current?.focus();
  }, [begun]);
  useEffect(() => {
    if (!moving || !element || element === moving || !nodes.some((n) => n.id === element)) return;
    add({ kind: "move", element: moving, to: element });
    setMoving(undefined);
  }, [element, moving, nodes]);

  const apply = async () => {
    setBusy(true);
    setFailed(undefined);
    try {
      await asked.apply(reason.trim());
      notifications.show({ message: t("change.done"), color: "teal" });
      await client.invalidateQueries({ queryKey: ["instance", instance] });
      close();
    } catch (e) {
      setFailed(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Paper withBorder p="sm" mt="xs" component="section" ref={panel} tabIndex={-1} aria-label={t("change.title")}>
      <Group justify="space-between" mb={4}>
        <Title order={2} size="h3">
          {t("change.title")}
        </Title>
        <ActionIcon variant="subtle" color="gray" aria-label={t("cancel")} onClick={close}>
          <Icon name="close" size={14} />
        </ActionIcon>
      </Group>
      <Text size="sm" mb="xs">
        {t(moving ? "change.where" : "change.hint", { element: name(moving ?? "") })}
      </Text>
      <Group align="end" gap="xs">
        <Select
          size="xs"
          w={280}
          searchable
          clearable
          label={t("col.element")}
          value={node ? node.id : null}
          onChange={(v) => onElement(v ?? undefined)}
          data={nodes.map((n) => ({ value: n.id, label: (n.name ? `${n.name} (${n.id})` : n.id) + (here(n.id) ? " ●" : "") }))}
        />
        {moving ? (
          <Button size="xs" variant="default" onClick={() => setMoving(undefined)}>
            {t("change.stay")}
          </Button>
        ) : (
          <>
            <Button size="xs" variant="default" disabled={!node} onClick={() => add({ kind: "activate", element: node!.id })}>
              {t("change.activate")}
            </Button>
            <Button size="xs" variant="default" disabled={!node || !here(node.id)} onClick={() => setMoving(node!.id)}>
              {t("change.move")}
            </Button>
            <Button size="xs" variant="default" disabled={!node || !here(node.id)} onClick={() => add({ kind: "cancel", element: node!.id })}>
              {t("change.cancel")}
            </Button>
          </>
        )}
      </Group>
      {steps.length > 0 && (
        <Stack gap="xs" mt="sm">
          <ol className="fl-steps">
            {steps.map((step, n) => (
              <li key={n}>
                <StepRow of={step} text={t(`change.step.${step.kind}`, { element: name(step.element), to: name(step.to ?? "") })} scopes={step.kind === "activate" ? scopesOf(nodes.find((x) => x.id === step.element), tokens) : []} set={(s) => put(n, s)} />
              </li>
            ))}
          </ol>
          <Preview of={asked} force={force} setForce={setForce} />
          <Textarea label={t("act.reason")} value={reason} onChange={(e) => setReason(e.currentTarget.value)} maxLength={1000} />
          {failed !== undefined && <Failed error={failed} again={asked.again} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t("cancel")}
            </Button>
            <Button loading={busy} disabled={!asked.plan || asked.waits} onClick={() => void apply()}>
              {t("change.apply", { count: steps.length })}
            </Button>
          </Group>
        </Stack>
      )}
    </Paper>
  );
}

function StepRow({ of: step, text, scopes, set }: { of: Step; text: string; scopes: StateToken[]; set: (step: Step | undefined) => void }) {
  const t = useText();
  const [open, setOpen] = useState(false);
  const handle = useRef<ValuesHandle>(null);
  return (
    <>
      <Group gap="xs">
        <Text size="sm">
          {text}
          {step.variables && Object.keys(step.variables).length > 0 && ` · ${Object.keys(step.variables).join(", ")}`}
        </Text>
        {scopes.length > 0 && <Select size="xs" w={260} clearable aria-label={t("change.scope")} placeholder={t("change.scope")} value={step.scope ?? null} onChange={(v) => set({ ...step, scope: v ?? undefined })} data={scopes.map((s) => ({ value: s.token, label: `${s.element} (${s.token})` }))} />}
        {step.kind !== "cancel" && (
          <Button size="compact-xs" variant="subtle" aria-expanded={open} onClick={() => setOpen(!open)}>
            {t("change.variables")}
          </Button>
        )}
        <ActionIcon size="sm" variant="subtle" color="gray" aria-label={t("change.drop", { step: text })} onClick={() => set(undefined)}>
          <Icon name="close" size={12} />
        </ActionIcon>
      </Group>
      {open && (
        <Stack gap={4} maw={520} mt={4}>
          <Values form={undefined} definition={undefined} data={{}} plain={step.variables} handle={handle} label={t("change.variables.of", { element: step.to ?? step.element })} autoFocus />
          <Group>
            <Button
              size="compact-sm"
              onClick={() => {
                const variables = handle.current?.take();
                if (!variables) return;
                set({ ...step, variables });
                setOpen(false);
              }}
            >
              {t("change.variables.take")}
            </Button>
          </Group>
        </Stack>
      )}
    </>
  );
}
