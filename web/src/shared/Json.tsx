import { ActionIcon, Code, CopyButton, Group, Tooltip } from "@mantine/core";
import { useText } from "~/i18n";
import { Icon } from "./icons";

/** One line of a value; long texts are cut (the whole is in the block). */
export const brief = (value: unknown, most = 120): string => {
  const text = value === undefined ? "" : (JSON.stringify(value) ?? "");
  return text.length > most ? `${text.slice(0, most)}…` : text;
};

/** The object that a text says; null: it says none. */
export const objectOf = (text: string): Record<string, unknown> | null => {
  try {
    const found: unknown = JSON.parse(text);
    return found && typeof found === "object" && !Array.isArray(found) ? (found as Record<string, unknown>) : null;
  } catch {
    return null;
  }
};

const SHOWN = 200_000;

/** A value as text that can be copied; what is longer than 200,000 characters is cut, the copy is whole. */
export function Json({ value, height = 360 }: { value: unknown; height?: number }) {
  const t = useText();
  const text = JSON.stringify(value, null, 2) ?? "";
  return (
    <div style={{ position: "relative" }}>
      <Group pos="absolute" right={6} top={6}>
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Tooltip label={t(copied ? "copy.done" : "copy")}>
              <ActionIcon variant="subtle" color="gray" size="sm" onClick={copy} aria-label={t("copy")}>
                <Icon name={copied ? "check" : "copy"} size={14} />
              </ActionIcon>
            </Tooltip>
          )}
        </CopyButton>
      </Group>
      <Code block mah={height} style={{ overflow: "auto" }} tabIndex={0}>
        {text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… (${text.length})` : text}
      </Code>
    </div>
  );
}
