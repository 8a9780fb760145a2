import { Button, Menu } from "@mantine/core";
import type { HistoryEvent, Instance, InstanceState } from "~/api/types";
import { useText } from "~/i18n";
import { save } from "~/shared/save";
import { Icon } from "~/shared/icons";

/** The instance as a file: what is known of it, its state at the moment shown, its whole history; or on paper. The diagram has a button of its own. */
export function Export({ instance, state, events }: { instance: Instance; state?: InstanceState; events: HistoryEvent[] }) {
  const t = useText();
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<Icon name="download" size={14} />}>
          {t("export.title")}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => save(`instance-${instance.id}.json`, "application/json", JSON.stringify({ instance, state, events }, null, 1))}>{t("export.json")}</Menu.Item>
        <Menu.Item onClick={() => window.print()}>{t("export.print")}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
