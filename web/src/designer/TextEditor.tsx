import { Textarea } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import type { EditorProps } from "./editor";

const DEPTH = 200;

/** A text as it is: what no other editor can open can still be mended here. */
export default function TextEditor({ text, label, onChange, onReady, onSelect }: EditorProps) {
  const [value, setValue] = useState(text);
  const now = useRef(text);
  const past = useRef<string[]>([]);
  const future = useRef<string[]>([]);
  const box = useRef<HTMLTextAreaElement>(null);
  const tell = useRef({ onChange, onReady });
  tell.current = { onChange, onReady };
  const put = (next: string) => {
    now.current = next;
    setValue(next);
    tell.current.onChange({ undo: past.current.length > 0, redo: future.current.length > 0 });
  };
  useEffect(() => {
    const move = (from: string[], to: string[]) => {
      const next = from.pop();
      if (next === undefined) return;
      to.push(now.current);
      put(next);
    };
    tell.current.onReady({
      text: async () => now.current,
      select: (element) => {
        const at = now.current.search(new RegExp(`["'\\s]${element.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}["'\\s,:]`));
        box.current?.focus();
        if (at >= 0) box.current?.setSelectionRange(at + 1, at + 1 + element.length);
      },
      undo: () => move(past.current, future.current),
      redo: () => move(future.current, past.current),
      fit: () => undefined,
      marks: () => undefined,
      show: () => undefined,
    });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  void onSelect;
  return (
    <Textarea
      ref={box}
      aria-label={label}
      value={value}
      h="100%"
      styles={{ wrapper: { height: "100%" }, input: { height: "100%", minHeight: 320, fontFamily: "ui-monospace, monospace", fontSize: 13 } }}
      spellCheck={false}
      onChange={(e) => {
        past.current = [...past.current.slice(-DEPTH), now.current];
        future.current = [];
        put(e.currentTarget.value);
      }}
    />
  );
}
