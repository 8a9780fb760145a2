import { Badge, NativeSelect, Tabs } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import type { ReactNode } from "react";
import { useNarrow } from "./Folded";

export interface Part {
  name: string;
  label: string;
  /** how many; nothing is shown of none */
  count?: number;
  /** it is trouble that is counted */
  bad?: boolean;
  show: () => ReactNode;
}

/** So many tabs take several lines of a tablet. */
const MANY = 9;

/** Parts of a page: tabs where there is room, else one choice in groups, since so many tabs fill the screen. `between` stands above what is open. */
export function Parts({ label, parts, groups, open: asked, go, between }: { label: string; parts: Part[]; groups: { label: string; names: string[] }[]; open: string; go: (name: string | undefined) => void; between?: ReactNode }) {
  const open = parts.some((p) => p.name === asked) ? asked : (parts[0]?.name ?? ""); // an address of something that is gone, or that one may not see
  const narrow = useNarrow();
  const small = !(useMediaQuery("(min-width: 75em)", undefined, { getInitialValueInEffect: false }) ?? true);
  if (narrow || (small && parts.length > MANY)) {
    const options = (names: string[]) => parts.filter((p) => names.includes(p.name)).map((p) => ({ value: p.name, label: p.count ? `${p.label} (${p.count})` : p.label }));
    return (
      <>
        <NativeSelect label={label} my="sm" maw={420} value={open} onChange={(e) => go(e.currentTarget.value)} data={groups.map((g) => ({ group: g.label, items: options(g.names) })).filter((g) => g.items.length > 0)} />
        {between}
        {parts.find((p) => p.name === open)?.show()}
      </>
    );
  }
  return (
    <Tabs mt="sm" keepMounted={false} value={open} onChange={(name) => go(name ?? undefined)}>
      <Tabs.List>
        {parts.map((p) => (
          <Tabs.Tab key={p.name} value={p.name} rightSection={!!p.count && <Badge size="sm" variant={p.bad ? "light" : "default"} color={p.bad ? "red" : undefined}>{p.count}</Badge>}>
            {p.label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {between}
      {parts.map((p) => (
        <Tabs.Panel key={p.name} value={p.name} pt="sm">
          {p.name === open && p.show()}
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
