import "~/i18n/for-designer";
import { ActionIcon, Alert, Anchor, Button, Group, Menu, Tabs, Text, Title, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import type { Editor, Shown } from "~/designer/editor";
import { useMay } from "~/api/me";
import { usePresence } from "~/api/presence";
import { useSeveral } from "~/api/useSeveral";
import { useText } from "~/i18n";
import { useFindingText } from "~/i18n/findings";
import { Icon, type IconName } from "~/shared/icons";
import { save as toFile } from "~/shared/save";
import { Empty, Failed, Waiting } from "~/shared/states";
import { When } from "~/shared/time";
import { drawable, fileName } from "./blank";
import { Comments } from "./Comments";
import { ConflictDialog } from "./Conflict";
import { Deploy } from "./Deploy";
import { Rename } from "./DesignerPage";
import { FindingList, Findings, Names, useFindings } from "./Findings";
import { elementNames } from "./names";
import { Gallery } from "./Gallery";
import { People } from "./People";
import { Histories } from "./Histories";
import { Texts } from "./Texts";
import { Try } from "./Try";
import { useDraft } from "./useDraft";
import { useLayout } from "./useLayout";
import { Versions } from "./Versions";

const EDITORS = {
  process: lazy(() => import("~/designer/ProcessEditor")),
  decision: lazy(() => import("~/designer/DecisionEditor")),
  form: lazy(() => import("~/designer/FormEditor")),
  text: lazy(() => import("~/designer/TextEditor")),
};

/** One draft: drawn, checked as one draws, tried, deployed. */
export function DraftPage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const may = useMay("author");
  useSeveral("designer", id, search);
  const d = useDraft(id);
  const [properties, setProperties] = useState<HTMLElement | null>(null);
  const [editor, setEditor] = useState<Editor>();
  const [can, setCan] = useState({ undo: false, redo: false });
  const [broken, setBroken] = useState<{ n: number; why: string }>();
  const [asText, setAsText] = useState(false);
  const [deploying, setDeploying] = useState(false);
  const [renaming, setRenaming] = useState(false);
  const [resolving, setResolving] = useState(false);
  const [selected, setSelected] = useState<string>();
  const [shown, setShown] = useState<Shown | null>(null);
  const draft = d.q.data;
  const kind = draft?.kind ?? "process";
  const name = draft ? fileName(draft.name, kind, d.text) : "";
  const check = useFindings(name, d.text);
  const say = useFindingText();
  const names = useMemo(() => elementNames(d.text), [d.text]);
  const errors = check.findings.filter((f) => f.severity === "error").length;
  const layout = useLayout(d, asText);
  const plain = asText || layout.failed || (d.opened && (broken?.n === d.opened.n || !drawable(kind, d.opened.text)));
  const tab = search.tab ?? (kind === "decision" || plain ? "findings" : "properties");

  const presence = usePresence(id, Boolean(draft));
  useEffect(() => editor?.people?.(presence.others), [editor, presence.others]);

  const ready = useCallback(
    (made: Editor) => {
      d.editor.current = made;
      setEditor(made);
    },
    [d.editor],
  );
  useEffect(() => setEditor(undefined), [d.opened?.n, plain]);
  useEffect(() => editor?.marks(check.findings.filter((f) => f.element).map((f) => ({ element: f.element!, severity: f.severity, message: say(f).what }))), [editor, say, check.findings.map((f) => f.code + f.element).join()]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => editor?.show(tab === "try" || tab === "histories" ? shown : null), [editor, shown, tab]);
  useEffect(() => {
    if (d.conflict) setResolving(true);
  }, [d.conflict]);

  const tellSaved = presence.saved;
  const save = useCallback(async () => {
    const saved = await d.save();
    if (!saved) return;
    tellSaved(saved.version);
    notifications.show({ message: t("designer.saved.as", { version: saved.version }), color: "teal" });
  }, [d, t, tellSaved]);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (!(e.ctrlKey || e.metaKey) || e.altKey || e.key.toLowerCase() !== "s") return;
      e.preventDefault();
      if (may) void save();
    };
    window.addEventListener("keydown", key, true); // before the field that names an element, which keeps its keys to itself
    return () => window.removeEventListener("keydown", key, true);
  }, [save, may]);

  const tabs = useMemo(
    () => [
      ...(plain || kind === "decision" ? [] : ["properties"]),
      "findings",
      ...(kind === "process" && may ? ["try", "histories"] : []),
      ...(kind === "process" && !plain ? ["blocks", "texts"] : []),
      "versions",
      "comments",
    ],
    [plain, kind, may],
  );
  if (d.q.error && !draft) return <Failed error={d.q.error} again={() => void d.q.refetch()} />;
  if (!draft || !d.opened) return <Waiting />;
  const Editing = EDITORS[plain ? "text" : kind];
  const act = (label: string, icon: IconName, onClick: () => void, disabled = false) => (
    <Tooltip label={label}>
      <ActionIcon variant="default" size="md" aria-label={label} onClick={onClick} disabled={disabled}>
        <Icon name={icon} size={15} />
      </ActionIcon>
    </Tooltip>
  );
  return (
    <Names value={names}>
      <Group justify="space-between" gap="xs" mb="xs">
        <Group gap="xs" style={{ minWidth: 0 }}>
          <Anchor renderRoot={(props) => <Link to="/designer" {...props} />} aria-label={t("designer.title")} lh={0}>
            <Icon name="back" />
          </Anchor>
          <Title order={1} className="fl-cut" style={{ minWidth: 0, maxWidth: "24rem" }}>
            {draft.name}
          </Title>
          <Text size="sm" c="dimmed" role="status">
            v{d.base} · {t(d.saving ? "designer.saving" : d.dirty ? "designer.unsaved" : "designer.allsaved")}
          </Text>
        </Group>
        <Group gap={6}>
          <People others={presence.others} onPick={(element) => editor?.select(element)} />
          {act(t("designer.undo"), "undo", () => editor?.undo(), !can.undo)}
          {act(t("designer.redo"), "redo", () => editor?.redo(), !can.redo)}
          {!plain && kind === "process" && act(t("diagram.fit"), "fit", () => editor?.fit())}
          <Menu position="bottom-end" withinPortal>
            <Menu.Target>
              <ActionIcon variant="default" size="md" aria-label={t("designer.more", { name: draft.name })}>
                <Icon name="more" size={15} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => toFile(name, "application/octet-stream", d.text)}>{t("designer.export")}</Menu.Item>
              {editor?.svg && <Menu.Item onClick={async () => toFile(`${name}.svg`, "image/svg+xml", await editor.svg!())}>{t("designer.svg")}</Menu.Item>}
              {broken?.n !== d.opened.n && drawable(kind, d.text) && (
                <Menu.Item
                  onClick={() => {
                    d.open(d.text, d.base, d.dirty);
                    setAsText(!asText);
                  }}
                >
                  {t(asText ? "designer.draw" : "designer.text")}
                </Menu.Item>
              )}
              <Menu.Item onClick={() => setRenaming(true)} disabled={!may}>
                {t("designer.rename")}
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
          <Button size="xs" variant="default" onClick={() => void save()} loading={d.saving} disabled={!may || !d.dirty}>
            {t("designer.save")}
          </Button>
          <Button size="xs" leftSection={<Icon name="play" size={13} />} onClick={() => setDeploying(true)} disabled={!may}>
            {t("designer.deploy")}
          </Button>
        </Group>
      </Group>
      {d.opened.restored !== undefined && d.dirty && (
        <Alert color="blue" variant="light" mb="xs" p="xs" role="status">
          <Group gap="sm">
            <Text size="sm">
              {t("designer.restored")} <When at={new Date(d.opened.restored).toISOString()} />
            </Text>
            <Button size="compact-xs" variant="light" onClick={() => void d.load(d.versions.data?.items[0]?.version ?? draft.version)}>
              {t("designer.restored.drop")}
            </Button>
          </Group>
        </Alert>
      )}
      {d.newer && !resolving && (
        <Alert color="yellow" variant="light" mb="xs" p="xs" role="status">
          <Group gap="sm">
            <Text size="sm">{t("designer.newer", { by: d.newer.by || t("shell.nobody"), version: d.newer.version })}</Text>
            <Button size="compact-xs" variant="light" color="yellow" onClick={() => (d.dirty ? setResolving(true) : void d.load(d.newer!.version))}>
              {t(d.dirty ? "designer.newer.choose" : "designer.newer.open")}
            </Button>
          </Group>
        </Alert>
      )}
      {d.away && (
        <Alert color="yellow" variant="light" mb="xs" p="xs" role="status">
          {t("designer.away")}
        </Alert>
      )}
      {d.unkept && (
        <Alert color="red" variant="light" mb="xs" p="xs">
          {t("designer.unkept")}
        </Alert>
      )}
      {d.error !== undefined && (
        <>
          <Failed error={d.error} again={() => void save()} />
          <Text size="sm" mb="xs">
            {t("designer.kept")}
          </Text>
        </>
      )}
      {plain && (
        <Alert color="yellow" variant="light" mb="xs" p="xs" role="status">
          {t(broken?.n === d.opened.n ? "designer.broken" : asText ? "designer.astext" : "designer.undrawable", { why: broken?.why ?? "" })}
          {kind === "process" && !drawable(kind, d.opened.text) && (
            <Button size="compact-xs" variant="light" color="yellow" ml="sm" disabled={!may} onClick={() => void layout.draw().catch(d.setError)}>
              {t("designer.drawit")}
            </Button>
          )}
          {layout.refused && <FindingList findings={layout.refused} />}
        </Alert>
      )}
      {layout.laid && d.dirty && (
        <Alert color="blue" variant="light" mb="xs" p="xs" role="status">
          {t("designer.laid")}
        </Alert>
      )}
      <div className="fl-design">
        <div className="fl-design-canvas">
          <Suspense fallback={<Waiting />}>
            {layout.waits ? <Waiting /> : <Editing
              key={`${d.opened.n} ${plain}`}
              text={d.opened.text}
              shared={d.shared}
              adopt={d.opened.adopt}
              label={t(`designer.canvas.${plain ? "text" : kind}`, { name: draft.name })}
              properties={properties}
              onChange={(now) => {
                setCan((was) => (was.undo === now.undo && was.redo === now.redo ? was : now));
                d.changed();
              }}
              onReady={ready}
              onFailed={(why) => setBroken({ n: d.opened!.n, why })}
              onSelect={setSelected}
              onWhere={presence.here}
            />}
          </Suspense>
        </div>
        <Tabs className="fl-design-side" value={tabs.includes(tab) ? tab : "findings"} onChange={(v) => void navigate({ to: ".", search: { ...search, tab: v ?? "" }, replace: true })}>
          <Tabs.List>
            {tabs.map((name) => (
              <Tabs.Tab key={name} value={name} px="xs">
                {t(`designer.tab.${name}`)}
                {name === "findings" && check.findings.length > 0 && (
                  <Text span size="xs" fw={600} c={errors ? "red" : "dimmed"} ml={4}>
                    {check.findings.length}
                  </Text>
                )}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <div hidden={tab !== "properties"} role="tabpanel" aria-label={t("designer.tab.properties")} className="fl-properties" ref={setProperties} />
          <Tabs.Panel value="findings" p="xs">
            {check.error ? <Failed error={check.error} /> : <Findings findings={check.findings} current={check.current} onPick={(element) => editor?.select(element)} />}
          </Tabs.Panel>
          {tab === "try" && (
            <Tabs.Panel value="try" p="xs">
              {check.asked && check.definitions.length === 0 && errors === 0 ? <Empty title={t("designer.try.nothing")} /> : <Try id={id} name={name} text={d.text} processes={check.definitions.filter((x) => x.kind === "process").map((x) => x.id)} onShow={setShown} onPick={(element) => editor?.select(element)} />}
            </Tabs.Panel>
          )}
          {tab === "histories" && (
            <Tabs.Panel value="histories" p="xs">
              {check.asked && check.definitions.length === 0 && errors === 0 ? <Empty title={t("designer.try.nothing")} /> : <Histories name={name} text={d.text} processes={check.definitions.filter((x) => x.kind === "process").map((x) => x.id)} onShow={setShown} onPick={(element) => editor?.select(element)} />}
            </Tabs.Panel>
          )}
          {tab === "blocks" && (
            <Tabs.Panel value="blocks" p="xs">
              <Gallery editor={editor} selected={selected} />
            </Tabs.Panel>
          )}
          {tab === "texts" && (
            <Tabs.Panel value="texts" p="xs">
              <Texts name={name} text={d.text} onPick={(element) => editor?.select(element)} />
            </Tabs.Panel>
          )}
          {tab === "versions" && (
            <Tabs.Panel value="versions" p="xs">
              <Versions of={draft} versions={d.versions} base={d.base} dirty={d.dirty} open={(version) => void d.load(version)} />
            </Tabs.Panel>
          )}
          {tab === "comments" && (
            <Tabs.Panel value="comments" p="xs">
              <Comments draft={id} selected={selected} onPick={(element) => editor?.select(element)} may={may} />
            </Tabs.Panel>
          )}
        </Tabs>
      </div>
      {deploying && <Deploy draft={draft} name={name} text={d.text} base={d.base} save={d.save} dirty={d.dirty} findings={check.findings} close={() => setDeploying(false)} onPick={(element) => (setDeploying(false), editor?.select(element))} />}
      {renaming && <Rename of={draft} close={() => setRenaming(false)} />}
      {resolving && (d.conflict ?? d.newer) && <ConflictDialog d={d} draft={draft} with={(d.conflict ?? d.newer)!} close={() => (setResolving(false), d.setConflict(undefined))} />}
    </Names>
  );
}
