import { Badge, Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { freshness } from "~/api/client";
import { useConnection } from "~/api/live";
import { useText } from "~/i18n";

/** Up to which place of the log what one sees is true, and whether news still come. */
export function Freshness() {
  const t = useText();
  const position = useSyncExternalStore(freshness.subscribe, freshness.position);
  const connection = useConnection();
  if (connection === "connecting") return null; // nothing here is told as it happens
  const color = connection === "lost" ? "red" : connection === "live" ? "teal" : "gray";
  return (
    <Tooltip label={position ? t("fresh.position", { position }) : t("fresh.none")} multiline maw={320}>
      <Badge color={color} variant="light" size="sm" tabIndex={0} role="status">
        {t(`fresh.${connection}`)}
      </Badge>
    </Tooltip>
  );
}
