import { Button, Group, Tooltip, VisuallyHidden } from "@mantine/core";
import type { Person } from "~/api/presence";
import { colourOf } from "~/designer/people";
import { useText } from "~/i18n";

const SHOWN = 4;

/** Who else is here; a click goes to what they have selected. */
export function People({ others, onPick }: { others: Person[]; onPick: (element: string) => void }) {
  const t = useText();
  const nameOf = (p: Person) => p.name || t("shell.nobody");
  return (
    <>
      <VisuallyHidden role="status">{others.length > 0 ? t("designer.people", { names: others.map(nameOf).join(", ") }) : ""}</VisuallyHidden>
      {others.length > 0 && (
        <Group gap={4} role="group" aria-label={t("designer.people.here")}>
          {others.slice(0, SHOWN).map((p) => (
            <Tooltip key={p.id} label={p.selected.length ? t("designer.people.at", { name: nameOf(p), element: p.selected[0]! }) : nameOf(p)}>
              <Button size="compact-xs" color={colourOf(p)} c="#fff" px={6} maw={110} onClick={() => p.selected[0] && onPick(p.selected[0])}>
                <span className="fl-cut">{nameOf(p)}</span>
              </Button>
            </Tooltip>
          ))}
          {others.length > SHOWN && <span>+{others.length - SHOWN}</span>}
        </Group>
      )}
    </>
  );
}
