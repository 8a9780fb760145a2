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
import { readable } from "~/dmn/readable";
import { type View, Views } from "~/dmn/Views";
import { speaking } from "~/dmn/words";
import { useLanguage } from "~/i18n";
import type { EditorProps } from "./editor";
import { styleElementsGetTheNonce } from "./nonce";

/* eslint-disable @typescript-eslint/no-explicit-any */
/** Tables, expressions and the graph of decisions. What dmn-js reads is DMN 1.3; that is also what it writes. */
export default function DecisionEditor({ text, label, onChange, onReady, onFailed }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const modeler = useRef<any>(undefined);
  const [views, setViews] = useState<View[]>([]);
  const [shown, setShown] = useState("");
  const tell = useRef({ onChange, onReady, onFailed });
  tell.current = { onChange, onReady, onFailed };
  const first = useRef(text);
  const { language } = useLanguage();
  const spoken = useRef(language);
  useEffect(() => {
    styleElementsGetTheNonce();
    const m = new (Modeler as any)({ container: box.current!, ...speaking(spoken.current) });
    modeler.current = m;
    let over = false;
    const stack = () => m.getActiveViewer()?.get("commandStack");
    const heard = new WeakSet<object>();
    const listen = () => {
      const viewer = m.getActiveViewer();
      if (!viewer || heard.has(viewer)) return;
      heard.add(viewer);
      viewer.on("commandStack.changed", () => tell.current.onChange({ undo: stack()?.canUndo() ?? false, redo: stack()?.canRedo() ?? false }));
    };
    m.on("views.changed", ({ views: all, activeView }: { views: View[]; activeView?: View }) => {
      setViews(all);
      setShown(activeView?.id ?? "");
      listen();
    });
    m.importXML(readable(first.current), { open: false })
      .then(async () => {
        if (over) return;
        const all = m.getViews() as View[];
        const view = all.find((v) => v.type !== "drd") ?? all[0];
        if (view) await m.open(view);
        listen();
        tell.current.onReady({
          text: async () => (await m.saveXML({ format: true })).xml,
          select: (element) => {
            const found = (m.getViews() as View[]).find((v) => v.element.id === element);
            if (found) void m.open(found);
          },
          undo: () => stack()?.undo(),
          redo: () => stack()?.redo(),
          fit: () => m.getActiveViewer()?.get("canvas", false)?.zoom("fit-viewport"),
          marks: () => undefined,
          show: () => undefined,
        });
      })
      .catch((e: Error) => !over && tell.current.onFailed(e.message));
    return () => {
      over = true;
      m.destroy();
    };
  }, []);
  return (
    <div style={{ height: "100%", display: "flex", flexDirection: "column" }}>
      <Views views={views} shown={shown} open={(view) => void modeler.current.open(view)} />
      <div ref={box} className="fl-dmn fl-dmn-editor" role="group" aria-label={label} data-shown={shown || undefined} />
    </div>
  );
}
