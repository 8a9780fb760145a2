import { Button, Group, Popover, TextInput } from "@mantine/core";
import { useState, type ReactElement } from "react";
import { useMe } from "~/api/me";
import { useText } from "~/i18n";

/** Asks for the name that one acts under (until there is a sign-in). `button` opens it. */
export function NameForm({ button, position = "bottom" }: { button: (toggle: () => void) => ReactElement; position?: "bottom" | "bottom-end" }) {
  const t = useText();
  const { actor, setActor } = useMe();
  const [open, setOpen] = useState(false);
  const [name, setName] = useState(actor);
  const save = () => {
    setActor(name.trim());
    setOpen(false);
  };
  return (
    <Popover opened={open} onChange={setOpen} trapFocus position={position} withinPortal>
      <Popover.Target>
        {button(() => {
          setName(actor);
          setOpen((o) => !o);
        })}
      </Popover.Target>
      <Popover.Dropdown aria-label={t("shell.person.label")}>
        <Group align="end" gap="xs">
          <TextInput label={t("shell.person.ask")} value={name} maxLength={255} onChange={(e) => setName(e.currentTarget.value)} onKeyDown={(e) => e.key === "Enter" && save()} data-autofocus />
          <Button size="sm" onClick={save}>
            {t("save")}
          </Button>
        </Group>
      </Popover.Dropdown>
    </Popover>
  );
}
