import { Button, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import { useText } from "~/i18n";
import { save } from "~/shared/save";
import { Answer } from "~/shared/states";
import { FindingList } from "./Findings";

const FORMATS = ["json", "xml", "steps", "bpml"] as const;
type Format = (typeof FORMATS)[number];

/** The same process as text beside its drawing, as it is drawn: what can be written in which format, and what gets lost. */
export function Texts({ name, text, onPick }: { name: string; text: string; onPick: (element: string) => void }) {
  const t = useText();
  const [format, setFormat] = useState<Format>("json");
  return (
    <Stack gap="xs">
      <SegmentedControl size="xs" aria-label={t("designer.texts.format")} value={format} onChange={(v) => setFormat(v as Format)} data={FORMATS.map((value) => ({ value, label: t(`designer.texts.${value}`) }))} />
      {format === "xml" ? <Shown file={name} text={text} type="application/xml" /> : <Written key={format} as={format === "json" ? "process-json" : format} name={name} text={text} onPick={onPick} />}
    </Stack>
  );
}

function Written({ as, name, text, onPick }: { as: "process-json" | "steps" | "bpml"; name: string; text: string; onPick: (element: string) => void }) {
  const t = useText();
  const q = useQuery({
    queryKey: ["written", as, name, text],
    queryFn: () => send("POST", "/models/convert", { name, content: text, to: as }),
    enabled: text.trim() !== "",
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    retry: false,
    placeholderData: (former) => former,
  });
  return (
    <Answer of={q}>
      {(made) => (
        <Stack gap="xs">
          <Text size="sm" role="status" c={made.same ? undefined : "red"}>
            {t(made.content === null ? "designer.texts.none" : made.same ? "designer.texts.same" : "designer.texts.other")}
          </Text>
          {made.findings.length > 0 && <FindingList findings={made.findings} onPick={onPick} />}
          {made.content !== null && <Shown file={made.name} text={made.content} type={as === "bpml" ? "application/xml" : "application/json"} />}
        </Stack>
      )}
    </Answer>
  );
}

function Shown({ file, text, type }: { file: string; text: string; type: string }) {
  const t = useText();
  const [copied, setCopied] = useState(false);
  return (
    <Stack gap={4}>
      <Group gap={4}>
        <Button size="compact-xs" variant="default" onClick={() => void navigator.clipboard?.writeText(text).then(() => setCopied(true))}>
          {t(copied ? "designer.texts.copied" : "designer.texts.copy")}
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => save(file, type, text)}>
          {t("designer.export")}
        </Button>
      </Group>
      <pre className="fl-mono" tabIndex={0} aria-label={file} style={{ maxHeight: "60dvh", overflow: "auto", margin: 0, fontSize: 12, whiteSpace: "pre" }}>
        {text}
      </pre>
    </Stack>
  );
}
