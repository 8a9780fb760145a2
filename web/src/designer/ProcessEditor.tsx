import "bpmn-js/dist/assets/diagram-js.css";
import "bpmn-js/dist/assets/bpmn-js.css";
import "bpmn-js/dist/assets/bpmn-font/css/bpmn.css";
import "@bpmn-io/properties-panel/dist/assets/properties-panel.css";
import "bpmn-js-element-templates/dist/assets/element-templates.css";
import "diagram-js-minimap/assets/diagram-js-minimap.css";
import "../diagram/diagram.css";
import "./designer.css";
import { ZeebeVariableResolverModule } from "@bpmn-io/variable-resolver";
import { useComputedColorScheme } from "@mantine/core";
import { CreateAppendAnythingModule, CreateAppendElementTemplatesModule } from "bpmn-js-create-append-anything";
import { CloudElementTemplatesPropertiesProviderModule } from "bpmn-js-element-templates";
import { BpmnPropertiesPanelModule, BpmnPropertiesProviderModule, ZeebePropertiesProviderModule } from "bpmn-js-properties-panel";
import Modeler from "bpmn-js/lib/Modeler";
import { is } from "bpmn-js/lib/util/ModelUtil";
import ZeebeBehaviors from "camunda-bpmn-js-behaviors/lib/camunda-cloud";
import Minimap from "diagram-js-minimap";
import { useEffect, useRef, useState } from "react";
import zeebe from "zeebe-bpmn-moddle/resources/zeebe.json";
import { useLanguage, useText } from "~/i18n";
import type { Editor, EditorProps, Mark, Shown } from "./editor";
import { ownProperties } from "./extensions";
import flowledger from "./flowledger.json";
import { styleElementsGetTheNonce } from "./nonce";
import { peopleOn } from "./people";
import { templates } from "./templates";
import { bind, type Bound, undoes } from "./together/bind";
import { modelerOf } from "./together/process";
import { spoken } from "./spoken";
import { translation, wordsOf } from "./translation";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Service = any;
/** what the palette takes of the width, in pixels */
const LEFT = 125;
const SEVERITY = ["error", "warning", "info"];

/** The only place that knows the modeler. It is made once for a text; all else is told to it. */
export default function ProcessEditor({ text, label, shared, adopt, properties, onChange, onReady, onFailed, onSelect, onWhere }: EditorProps) {
  const t = useText();
  const { language } = useLanguage();
  const dark = useComputedColorScheme("light") === "dark";
  const box = useRef<HTMLDivElement>(null);
  const tell = useRef({ onChange, onReady, onFailed, onSelect, onWhere });
  tell.current = { onChange, onReady, onFailed, onSelect, onWhere };
  const current = useRef(text);
  const adopts = useRef(adopt);
  /** what was drawn last in the one whose place this takes is in the document */
  const before = useRef(Promise.resolve());
  const say = useRef(t);
  say.current = t;
  const [empty, setEmpty] = useState(false);
  useEffect(() => (properties ? spoken(properties, wordsOf(language)) : undefined), [properties, language]);

  useEffect(() => {
    if (!properties) return;
    styleElementsGetTheNonce();
    let over = false;
    const colours = dark ? { defaultFillColor: "#25262b", defaultStrokeColor: "#c1c2c5", defaultLabelColor: "#d5d7da" } : {};
    const m: Service = new Modeler({
      container: box.current!,
      bpmnRenderer: colours,
      propertiesPanel: { parent: properties },
      moddleExtensions: { zeebe, flowledger },
      additionalModules: [
        BpmnPropertiesPanelModule, BpmnPropertiesProviderModule, ZeebePropertiesProviderModule, CloudElementTemplatesPropertiesProviderModule, ZeebeBehaviors,
        CreateAppendAnythingModule, CreateAppendElementTemplatesModule, ZeebeVariableResolverModule, Minimap, ownProperties((key) => say.current(key)),
        { translate: ["value", translation(language)] },
      ],
    } as any);
    const get = (name: string): Service => m.get(name);
    let marked: Mark[] = [];
    let shown: Shown | null = null;
    let later: ReturnType<typeof setTimeout>;
    let bound: Bound | undefined;
    const changed = () => {
      const stack = get("commandStack");
      tell.current.onChange(bound ? bound.can() : { undo: stack.canUndo(), redo: stack.canRedo() });
      clearTimeout(later);
      setEmpty(begins(m));
      later = setTimeout(() => (mark(m, marked), show(m, shown)), 50); // an element that comes back by undo has lost its signs
    };
    m.on("commandStack.changed", changed);
    m.on("selection.changed", (e: any) => {
      tell.current.onSelect?.(e.newSelection.length === 1 ? e.newSelection[0].id : undefined);
      tell.current.onWhere?.({ selected: e.newSelection.slice(0, 20).map((one: any) => one.id) });
    });
    const people = peopleOn(m, box.current!, say.current("shell.nobody"));
    const moved = (e: MouseEvent) => tell.current.onWhere?.(people.at(e));
    const left = () => tell.current.onWhere?.({ x: null, y: null });
    const on = box.current!;
    on.addEventListener("mousemove", moved);
    on.addEventListener("mouseleave", left);
    const seen = new ResizeObserver(() => get("canvas").resized());
    seen.observe(box.current!);
    /** The page may still hold this one when another has taken its place (dark instead of light, another language): then it does nothing more. */
    const alive = <A extends unknown[]>(does: (...given: A) => void) => (...given: A) => {
      if (!over) does(...given);
    };
    const editor: Editor = {
      text: async () => (current.current = bound ? await bound.text() : ((await m.saveXML({ format: true })).xml ?? "")),
      shared: Boolean(shared),
      select: alive((id) => {
        const element = get("elementRegistry").get(id);
        if (!element) return;
        get("selection").select(element);
        get("canvas").scrollToElement(element);
        get("canvas").focus?.();
      }),
      undo: alive(() => (bound ? void bound.undo() : get("commandStack").canUndo() && get("commandStack").undo())),
      redo: alive(() => (bound ? void bound.redo() : get("commandStack").canRedo() && get("commandStack").redo())),
      fit: alive(() => fit(m)),
      marks: alive((all) => mark(m, (marked = all))),
      show: alive((now) => show(m, (shown = now))),
      svg: async () => (await m.saveSVG()).svg,
      people: alive((others) => people.show(others)),
      templates: alive((all) => get("elementTemplatesLoader").setTemplates(all)),
      apply: alive((id, version, at) => apply(m, id, version, at)),
    };
    before.current
      .then(() => over || m.importXML(shared && !adopts.current ? shared.text() : current.current))
      .then(async () => {
        if (over) return;
        fit(m);
        if (shared) {
          bound = await bind(modelerOf(m), shared, Boolean(adopts.current), () => (changed(), people.frames()));
          undoes(get("editorActions"), bound);
          adopts.current = false;
          if (over) return bound.end();
        }
        setEmpty(begins(m));
        tell.current.onReady(editor);
        get("elementTemplatesLoader").setTemplates(await templates(language));
      })
      .catch((e: Error) => !over && tell.current.onFailed(e.message));
    return () => {
      over = true;
      // a field of the panel keeps what is typed for a moment before it gives it: as it is left it does so at once
      if (document.activeElement instanceof HTMLElement && properties.contains(document.activeElement)) document.activeElement.blur();
      if (bound) before.current = bound.end();
      clearTimeout(later);
      seen.disconnect();
      people.away();
      on.removeEventListener("mousemove", moved);
      on.removeEventListener("mouseleave", left);
      m.destroy();
    };
  }, [dark, language, properties, shared]);
  return (
    <div ref={box} className="fl-diagram fl-modeler" role="group" aria-label={label}>
      {empty && <p className="fl-first">{t("designer.first")}</p>}
    </div>
  );
}

/** Nothing is drawn yet but where it starts. */
function begins(m: Service): boolean {
  const shapes = m.get("canvas").getRootElement().children.filter((c: Service) => c.type !== "label");
  return shapes.length === 1 && is(shapes[0], "bpmn:StartEvent");
}

/** All of it in sight, right of the palette. */
function fit(m: Service) {
  const canvas = m.get("canvas");
  canvas.zoom("fit-viewport", "auto");
  const { inner, outer } = canvas.viewbox();
  if (inner.width <= 0 || outer.width <= LEFT * 2) return;
  const scale = Math.min((outer.width - LEFT - 20) / inner.width, (outer.height - 40) / inner.height, 1);
  const [width, height] = [outer.width / scale, outer.height / scale];
  canvas.viewbox({ x: inner.x - LEFT / scale, y: inner.y - (height - inner.height) / 2, width, height });
}

/** Onto the element where it may be; else a new one, right of all that is there. */
function apply(m: Service, id: string, version: number | undefined, at: string | undefined) {
  const templates = m.get("elementTemplates");
  const template = templates.get(id, version);
  if (!template) return;
  const element = at && m.get("elementRegistry").get(at);
  if (element && template.appliesTo.some((type: string) => is(element, type))) {
    templates.applyTemplate(element, template);
    return;
  }
  const root = m.get("canvas").getRootElement();
  const shapes = root.children.filter((c: Service) => !c.waypoints && c.type !== "label");
  const right = Math.max(100, ...shapes.map((s: Service) => s.x + s.width));
  const y = shapes[0] ? shapes[0].y + shapes[0].height / 2 : 200;
  const made = m.get("modeling").createShape(templates.createElement(template), { x: right + 120, y }, root);
  m.get("selection").select(made);
  m.get("canvas").scrollToElement(made);
}

/** Findings on their elements: a sign each, with the texts; the worst decides the colour. */
function mark(m: Service, marks: Mark[]) {
  const overlays = m.get("overlays") as Service;
  const registry = m.get("elementRegistry") as Service;
  overlays.remove({ type: "fl-finding" });
  const by = new Map<string, Mark[]>();
  for (const one of marks) by.set(one.element, [...(by.get(one.element) ?? []), one]);
  for (const [id, all] of by) {
    const element = registry.get(id);
    if (!element || element.parent == null) continue;
    const worst = SEVERITY.find((s) => all.some((f) => f.severity === s)) ?? "info";
    const html = document.createElement("div");
    html.className = `fl-finding fl-finding-${worst}`;
    html.title = all.map((f) => f.message).join("\n");
    html.textContent = worst === "info" ? "i" : "!";
    overlays.add(id, "fl-finding", { position: element.waypoints ? { top: -8, left: -8 } : { top: -10, right: 10 }, html, show: { minZoom: 0.3 } });
  }
}

/** Tokens, incidents and what was reached, of a trial. */
function show(m: Service, shown: Shown | null) {
  const canvas = m.get("canvas") as Service;
  const overlays = m.get("overlays") as Service;
  const registry = m.get("elementRegistry") as Service;
  overlays.remove({ type: "fl-token" });
  for (const element of registry.getAll())
    for (const c of ["fl-active", "fl-incident", "fl-done", "fl-taken"]) if (canvas.hasMarker(element, c)) canvas.removeMarker(element, c);
  if (!shown) return;
  for (const [id, n] of Object.entries(shown.covered ?? {})) if (n > 0 && registry.get(id)) canvas.addMarker(id, registry.get(id).waypoints ? "fl-taken" : "fl-done");
  for (const [id, n] of Object.entries(shown.active)) {
    if (!registry.get(id)) continue;
    canvas.addMarker(id, shown.incidents.has(id) ? "fl-incident" : "fl-active");
    const html = document.createElement("div");
    html.className = `fl-badge ${shown.incidents.has(id) ? "fl-badge-bad" : "fl-badge-active"}`;
    html.textContent = String(n);
    if (!registry.get(id).waypoints) overlays.add(id, "fl-token", { position: { bottom: 10, left: -8 }, html });
  }
}
