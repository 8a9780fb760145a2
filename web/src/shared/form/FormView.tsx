import "@bpmn-io/form-js-viewer/dist/assets/form-js.css";
import "./form.css";
import { Form } from "@bpmn-io/form-js-viewer";
import { useEffect, useRef } from "react";
import type { Schema } from "./schema";

export interface FormHandle {
  /** Values, or null when a field says what is wrong with it (the first such field gets the focus). */
  submit: () => Record<string, unknown> | null;
}

interface Props {
  schema: Schema;
  data: Record<string, unknown>;
  readOnly?: boolean;
  handle: { current: FormHandle | null };
  onChange?: (data: Record<string, unknown>) => void;
  onFailed: (why: string) => void;
}

/** The only place that knows form-js. One viewer for one form; what was typed stays until another form comes. */
export default function FormView({ schema, data, readOnly = false, handle, onChange, onFailed }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const change = useRef(onChange);
  change.current = onChange;
  const first = useRef(data);
  useEffect(() => {
    const form = new Form({ container: box.current! });
    form.importSchema(schema as never, first.current as never).catch((e: Error) => onFailed(e.message));
    if (readOnly) form.setProperty("readOnly" as never, true as never);
    form.on("changed", ((e: { data: Record<string, unknown> }) => change.current?.(e.data)) as never);
    handle.current = {
      submit: () => {
        const { data: given, errors } = form.submit() as { data: Record<string, unknown>; errors: Record<string, unknown> };
        if (Object.keys(errors).length === 0) return given;
        requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(".fjs-has-errors input, .fjs-has-errors textarea, .fjs-has-errors select, .fjs-has-errors [tabindex]")?.focus());
        return null;
      },
    };
    return () => {
      handle.current = null;
      form.destroy();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [schema, readOnly]);
  return <div ref={box} className="fl-form" />;
}
