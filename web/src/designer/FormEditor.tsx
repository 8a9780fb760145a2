import "@bpmn-io/form-js-viewer/dist/assets/form-js.css";
import "@bpmn-io/form-js-editor/dist/assets/form-js-editor.css";
import "@bpmn-io/properties-panel/dist/assets/properties-panel.css";
import "./designer.css";
import { FormEditor as Form } from "@bpmn-io/form-js-editor";
import { useEffect, useRef } from "react";
import { useLanguage, useText } from "~/i18n";
import type { EditorProps } from "./editor";
import { framesIn } from "./frames";
import { FORM, PATTERNS } from "./german/form";
import { PANEL } from "./german/panel";
import { styleElementsGetTheNonce } from "./nonce";
import { spoken, type Words } from "./spoken";
import { bind, type Bound, undoes } from "./together/bind";
import { formOf } from "./together/form";
import { typingIn } from "./together/typing";

const WORDS: Record<string, Words> = { de: { texts: { ...PANEL, ...FORM }, patterns: PATTERNS } };

/* eslint-disable @typescript-eslint/no-explicit-any */
/** The form-js editor: palette, form, properties. */
export default function FormEditor({ text, label, shared, adopt, properties, onChange, onReady, onFailed, onSelect, onWhere }: EditorProps) {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  const tell = useRef({ onChange, onReady, onFailed, onSelect, onWhere });
  tell.current = { onChange, onReady, onFailed, onSelect, onWhere };
  const first = useRef(text);
  const adopts = useRef(adopt);
  const nobody = useRef(t("shell.nobody"));
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
    let bound: Bound | undefined;
    let schema: unknown;
    try {
      schema = JSON.parse(shared && !adopts.current ? shared.text() : first.current);
    } catch (e) {
      tell.current.onFailed((e as Error).message);
      return () => form.destroy();
    }
    const typing = typingIn(box.current, properties);
    const frames = framesIn(".fl-form-editor", (id) => `.fjs-element[data-id="${id}"]`, nobody.current);
    const stack = () => form.get("commandStack");
    const can = () => tell.current.onChange(bound ? bound.can() : { undo: stack().canUndo(), redo: stack().canRedo() });
    form
      .importSchema(schema)
      .then(async () => {
        if (over) return;
        form.on("commandStack.changed", can);
        form.on("selection.changed", ({ selection }: any) => {
          tell.current.onSelect?.(selection?.id);
          tell.current.onWhere?.({ selected: selection?.id ? [selection.id] : [] });
        });
        if (shared) {
          bound = await bind(formOf(form, box.current!, properties, typing), shared, Boolean(adopts.current), can);
          adopts.current = false;
          undoes(form.get("editorActions"), bound);
          if (over) return bound.end();
        }
        tell.current.onReady({
          text: async () => (bound ? await bound.text() : JSON.stringify(form.saveSchema(), null, 2)),
          shared: Boolean(shared),
          select: (id) => {
            const field = form.get("formFieldRegistry").getAll().find((f: any) => f.id === id || f.key === id);
            if (field) form.get("selection").set(field);
          },
          undo: () => (bound ? void bound.undo() : stack().canUndo() && stack().undo()),
          redo: () => (bound ? void bound.redo() : stack().canRedo() && stack().redo()),
          fit: () => undefined,
          marks: () => undefined,
          show: () => undefined,
          people: (others) => !over && frames.show(others),
        });
      })
      .catch((e: Error) => !over && tell.current.onFailed(e.message));
    return () => {
      over = true;
      bound?.end();
      typing.end();
      frames.away();
      form.destroy();
    };
  }, [properties, shared]);
  return <div ref={box} className="fl-form-editor" role="group" aria-label={label} />;
}
