import "dmn-js/dist/assets/diagram-js.css";
import "dmn-js/dist/assets/dmn-js-shared.css";
import "dmn-js/dist/assets/dmn-js-drd.css";
import "dmn-js/dist/assets/dmn-js-decision-table.css";
import "dmn-js/dist/assets/dmn-js-decision-table-controls.css";
import "dmn-js/dist/assets/dmn-js-literal-expression.css";
import "dmn-js/dist/assets/dmn-js-boxed-expression.css";
import "dmn-js/dist/assets/dmn-js-boxed-expression-controls.css";
import "dmn-js/dist/assets/dmn-font/css/dmn-embedded.css";
import "../dmn/dmn.css";
import "./designer.css";
import Modeler from "dmn-js/lib/Modeler";
import { useEffect, useRef, useState } from "react";
import { Imports } from "~/dmn/Imports";
import { readable } from "~/dmn/readable";
import { type View, Views } from "~/dmn/Views";
import { speaking } from "~/dmn/words";
import { useLanguage, useText } from "~/i18n";
import type { Person } from "~/api/presence";
import type { EditorProps } from "./editor";
import { framesIn } from "./frames";
import { styleElementsGetTheNonce } from "./nonce";
import { peopleOn } from "./people";
import { bind, type Bound, undoes } from "./together/bind";
import { decisionsOf } from "./together/decisions";
import { typingIn } from "./together/typing";

/* eslint-disable @typescript-eslint/no-explicit-any */
/** Tables, expressions and the graph of decisions. What dmn-js reads is DMN 1.3; that is also what it writes. */
export default function DecisionEditor({ text, label, shared, adopt, onChange, onReady, onFailed, onWhere }: EditorProps) {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  const modeler = useRef<any>(undefined);
  const [views, setViews] = useState<View[]>([]);
  const [shown, setShown] = useState("");
  const tell = useRef({ onChange, onReady, onFailed, onWhere });
  tell.current = { onChange, onReady, onFailed, onWhere };
  const first = useRef(text);
  const adopts = useRef(adopt);
  const nobody = useRef(t("shell.nobody"));
  const { language } = useLanguage();
  const spoken = useRef(language);
  useEffect(() => {
    styleElementsGetTheNonce();
    const on = box.current!;
    const m = new (Modeler as any)({ container: on, ...speaking(spoken.current) });
    modeler.current = m;
    let over = false;
    let bound: Bound | undefined;
    let others: Person[] = [];
    const typing = typingIn(on);
    const drawn = new Set<() => void>();
    const frames = framesIn(".fl-dmn-editor", (id) => `td[data-element-id="${id}"]`, nobody.current);
    const graphs = new WeakMap<object, ReturnType<typeof peopleOn>>();
    let graph: ReturnType<typeof peopleOn> | undefined;
    const stack = () => m.getActiveViewer()?.get("commandStack");
    const can = () => tell.current.onChange(bound ? bound.can() : { undo: stack()?.canUndo() ?? false, redo: stack()?.canRedo() ?? false });
    const inGraph = () => m.getActiveView()?.type === "drd";
    const people = () => {
      if (over) return;
      frames.show(inGraph() ? [] : others);
      graph?.show(inGraph() ? others : []);
    };
    const heard = new WeakSet<object>();
    const listen = () => {
      const viewer = m.getActiveViewer();
      if (!viewer || over) return;
      if (inGraph()) {
        graph = graphs.get(viewer) ?? peopleOn(viewer, on, nobody.current);
        graphs.set(viewer, graph);
      }
      people();
      if (heard.has(viewer)) return;
      heard.add(viewer);
      const actions = viewer.get("editorActions", false);
      if (bound && actions) undoes(actions, bound);
      viewer.on("commandStack.changed", () => {
        for (const one of drawn) one();
        can();
      });
      viewer.on("selection.changed", (e: any) => {
        const now = Array.isArray(e.newSelection) ? e.newSelection : e.selection ? [e.selection] : [];
        const at = m.getActiveView()?.element.id;
        tell.current.onWhere?.({ selected: now.length ? now.slice(0, 20).map((one: any) => one.id) : at ? [at] : [] });
      });
    };
    m.on("views.changed", ({ views: all, activeView }: { views: View[]; activeView?: View }) => {
      setViews(all);
      setShown(activeView?.id ?? "");
      listen();
    });
    const moved = (e: MouseEvent) => inGraph() && graph && tell.current.onWhere?.(graph.at(e));
    const left = () => tell.current.onWhere?.({ x: null, y: null });
    on.addEventListener("mousemove", moved);
    on.addEventListener("mouseleave", left);
    const select = async (id: string) => {
      const all = m.getViews() as View[];
      const has = (o: any): boolean => o?.id === id || ["decisionLogic", "input", "output", "rule", "inputEntry", "outputEntry"].some((name) => [o?.[name]].flat().some((one) => one && has(one)));
      const found = all.find((v) => v.element.id === id) ?? all.find((v) => v.type !== "drd" && has(v.element)) ?? all.find((v) => v.type === "drd");
      if (!found) return;
      if (m.getActiveView()?.id !== found.id) await m.open(found);
      const element = found.element.id !== id && m.getActiveViewer()?.get("elementRegistry", false)?.get(id);
      if (element) m.getActiveViewer().get("selection", false)?.select(element);
    };
    const opens = shared && !adopts.current ? shared.text() : first.current;
    m.importXML(readable(opens), { open: false })
      .then(async () => {
        if (over) return;
        const all = m.getViews() as View[];
        const view = all.find((v) => v.type !== "drd") ?? all[0];
        if (view) await m.open(view);
        if (shared) {
          bound = await bind(decisionsOf(m, on, typing, (one) => drawn.add(one)), shared, Boolean(adopts.current), () => (can(), people()));
          adopts.current = false;
          if (over) return bound.end();
        }
        listen();
        const actions = m.getActiveViewer()?.get("editorActions", false);
        if (bound && actions) undoes(actions, bound);
        if (view) tell.current.onWhere?.({ selected: [view.element.id] });
        tell.current.onReady({
          text: async () => (bound ? await bound.text() : (await m.saveXML({ format: true })).xml),
          shared: Boolean(shared),
          select: (element) => void select(element),
          undo: () => (bound ? void bound.undo() : stack()?.undo()),
          redo: () => (bound ? void bound.redo() : stack()?.redo()),
          fit: () => m.getActiveViewer()?.get("canvas", false)?.zoom("fit-viewport"),
          marks: () => undefined,
          show: () => undefined,
          people: (now) => {
            others = now;
            people();
          },
        });
      })
      .catch((e: Error) => !over && tell.current.onFailed(e.message));
    return () => {
      over = true;
      bound?.end();
      typing.end();
      frames.away();
      graph?.away();
      on.removeEventListener("mousemove", moved);
      on.removeEventListener("mouseleave", left);
      m.destroy();
    };
  }, [shared]);
  return (
    <div style={{ height: "100%", display: "flex", flexDirection: "column" }}>
      <Imports xml={text} />
      <Views views={views} shown={shown} open={(view) => void modeler.current.open(view)} />
      <div ref={box} className="fl-dmn fl-dmn-editor" role="group" aria-label={label} data-shown={shown || undefined} data-view={views.find((v) => v.id === shown)?.type} />
    </div>
  );
}
