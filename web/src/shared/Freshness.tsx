import { Badge, Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { freshness } from "~/api/client";
import { useConnection } from "~/api/live";
import { useLanguage, useText } from "~/i18n";

/** Up to which place of the log what one sees is true, and whether news still come. */
export function Freshness() {
  const t = useText();
  const position = useSyncExternalStore(freshness.subscribe, freshness.position);
  const connection = useConnection();
  if (connection === "connecting") return <Asked />;
  const color = connection === "lost" ? "red" : connection === "live" ? "teal" : "gray";
  return (
    <Tooltip label={position ? t("fresh.position", { position }) : t("fresh.none")} multiline maw={320}>
      <Badge color={color} variant="light" size="sm" tabIndex={0} role="status">
        {t(`fresh.${connection}`)}
      </Badge>
    </Tooltip>
  );
}

/** Where nothing is told as it happens: when the server answered last. */
function Asked() {
  const t = useText();
  const { language } = useLanguage();
  const at = useSyncExternalStore(freshness.subscribe, freshness.at);
  if (!at) return null;
  return (
    <Tooltip label={t("fresh.asked.hint")} multiline maw={320}>
      <Badge color="gray" variant="light" size="sm" tabIndex={0} tt="none">
        {t("fresh.asked", { time: new Date(at).toLocaleTimeString(language, { timeStyle: "short" }) })}
      </Badge>
    </Tooltip>
  );
}
