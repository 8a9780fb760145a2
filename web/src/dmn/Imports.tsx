import { Badge, Group, Text } from "@mantine/core";
import type { Definition } from "~/api/types";
import { useText } from "~/i18n";
import { importsOf } from "./imports";

/** Models that a file imports, and with `bound` what each was bound to when it was deployed; those of a draft are bound when it is. */
export function Imports({ xml, bound }: { xml: string; bound?: Definition["imports"] }) {
  const t = useText();
  const found = importsOf(xml);
  if (!found.length) return null;
  return (
    <Group gap="xs" mb="xs" role="list" aria-label={t("decision.imports")}>
      <Text size="sm" c="dimmed" aria-hidden>
        {t("decision.imports")}
      </Text>
      {found.map((one) => {
        const to = bound?.find((b) => b.namespace === one.namespace);
        const said = to ? t("decision.import.bound", { id: to.definition_id, version: String(to.version) }) : bound ? t("decision.import.missing") : one.namespace;
        return (
          <Badge key={`${one.name} ${one.namespace}`} role="listitem" variant="light" tt="none" color={bound && !to ? "orange" : "gray"} title={one.namespace}>
            {one.name || one.namespace}: {said}
          </Badge>
        );
      })}
    </Group>
  );
}
