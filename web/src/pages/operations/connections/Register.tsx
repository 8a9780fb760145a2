import { JsonInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { send } from "~/api/client";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import type { Capability } from "./Capabilities";
import type { Profile } from "./Profiles";

const FIRST_API = { title: "", base_url: "https://", authentication: { type: "bearer", token: "{{secrets.NAME}}" }, limits: { rate: { max: 10, per_ms: 1000 }, concurrency: 5 } };
const FIRST = { title: "", endpoint: "https://", operations: { do: { description: "", input: { type: "object" }, output: { type: "object" } } } };

/** A capability or an API profile as JSON; the server checks it, and says where it is wrong. */
export function Register({ of, kind = "capabilities", close, done }: { of?: Capability | Profile; kind?: "capabilities" | "profiles"; close: () => void; done: () => Promise<unknown> }) {
  const t = useText();
  const [name, setName] = useState(of?.name ?? "");
  const { name: _n, id: _i, ...fields } = of ?? ({ ...(kind === "profiles" ? FIRST_API : FIRST) } as unknown as Capability);
  const [text, setText] = useState(JSON.stringify(fields, null, 2));
  const value = read(text);
  return (
    <Ask
      title={t(of ? "capabilities.change" : `${kind}.put`)}
      what={t(`${kind}.put.what`)}
      reason={false}
      ready={Boolean(name.trim()) && value !== undefined}
      close={close}
      go={async () => {
        await send("PUT", `/${kind}/${encodeURIComponent(name.trim())}`, value);
        await done();
      }}
    >
      <TextInput label={t("signin.name")} value={name} disabled={Boolean(of)} maxLength={200} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <JsonInput label={t(`${kind}.record`)} description={t(`${kind}.record.hint`)} value={text} onChange={setText} autosize minRows={8} maxRows={18} error={value === undefined ? t("capabilities.record.no") : undefined} spellCheck={false} classNames={{ input: "fl-mono" }} />
    </Ask>
  );
}

function read(text: string): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return found && typeof found === "object" && !Array.isArray(found) ? (found as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
