import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { supported, turnOff, turnOn, useNotices } from "~/app/notices";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";

/** The one place where notices are turned on and off. */
export function TellMe() {
  const t = useText();
  const on = useNotices();
  if (!supported()) return null;
  const toggle = async () => {
    if (on) return turnOff();
    const came = await turnOn();
    notifications.show({ message: t(came ? "notices.on.done" : "notices.blocked"), color: came ? "teal" : "yellow" });
  };
  return (
    <Button size="xs" variant={on ? "light" : "default"} aria-pressed={on} leftSection={<Icon name="bell" size={14} />} onClick={() => void toggle()}>
      {t("notices.on")}
    </Button>
  );
}
