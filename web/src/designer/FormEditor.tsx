import "@bpmn-io/form-js-viewer/dist/assets/form-js.css";
import "@bpmn-io/form-js-editor/dist/assets/form-js-editor.css";
import "@bpmn-io/properties-panel/dist/assets/properties-panel.css";
import "./designer.css";
import { FormEditor as Form } from "@bpmn-io/form-js-editor";
import { useEffect, useRef } from "react";
import type { EditorProps } from "./editor";
import { useLanguage } from "~/i18n";
import { FORM, PATTERNS } from "./german/form";
import { PANEL } from "./german/panel";
import { styleElementsGetTheNonce } from "./nonce";
import { spoken, type Words } from "./spoken";

const WORDS: Record<string, Words> = { de: { texts: { ...PANEL, ...FORM }, patterns: PATTERNS } };

/* eslint-disable @typescript-eslint/no-explicit-any */
/** The form-js editor: palette, form, properties. */
export default function FormEditor({ text, label, properties, onChange, onReady, onFailed }: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const tell = useRef({ onChange, onReady, onFailed });
  tell.current = { onChange, onReady, onFailed };
  const first = useRef(text);
  const { language } = useLanguage();
  useEffect(() => {
    const ends = [box.current, properties].filter((root) => !!root).map((root) => spoken(root, WORDS[language]));
    return () => ends.forEach((end) => end());
  }, [properties, language]);
  useEffect(() => {
    if (!properties) return;
    styleElementsGetTheNonce();
    let over = false;
    const form: any = new Form({ container: box.current!, propertiesPanel: { parent: properties } } as any);
    let schema: unknown;
    try {
      schema = JSON.parse(first.current);
    } catch (e) {
      tell.current.onFailed((e as Error).message);
      return () => form.destroy();
    }
    const stack = () => form.get("commandStack");
    form
      .importSchema(schema)
      .then(() => {
        if (over) return;
        form.on("commandStack.changed", () => tell.current.onChange({ undo: stack().canUndo(), redo: stack().canRedo() }));
        tell.current.onReady({
          text: async () => JSON.stringify(form.saveSchema(), null, 2),
          select: (id) => {
            const field = form.get("formFieldRegistry").getAll().find((f: any) => f.id === id || f.key === id);
            if (field) form.get("selection").set(field);
          },
          undo: () => stack().canUndo() && stack().undo(),
          redo: () => stack().canRedo() && stack().redo(),
          fit: () => undefined,
          marks: () => undefined,
          show: () => undefined,
        });
      })
      .catch((e: Error) => !over && tell.current.onFailed(e.message));
    return () => {
      over = true;
      form.destroy();
    };
  }, [properties]);
  return <div ref={box} className="fl-form-editor" role="group" aria-label={label} />;
}
