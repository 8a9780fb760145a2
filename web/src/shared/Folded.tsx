import { Button } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useState, type ReactNode } from "react";
import { Icon } from "./icons";

/** On a phone there is more room for what is found than for how it is asked. */
export const useNarrow = () => !(useMediaQuery("(min-width: 48em)", undefined, { getInitialValueInEffect: false }) ?? true);

/** Where there is room it is there; on a phone behind a button, unless it says something already. */
export function Folded({ label, says, children }: { label: string; says: boolean; children: ReactNode }) {
  const narrow = useNarrow();
  const [chosen, setChosen] = useState<boolean>();
  const open = chosen ?? says;
  if (!narrow) return <>{children}</>;
  return (
    <>
      <Button size="xs" variant="default" mb="sm" aria-expanded={open} rightSection={<Icon name="down" size={12} />} onClick={() => setChosen(!open)}>
        {label}
      </Button>
      {open && children}
    </>
  );
}
