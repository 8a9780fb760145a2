import { SegmentedControl } from "@mantine/core";
import { useText } from "~/i18n";

/** What can be looked at of a DMN file: its graph, and each decision. */
export interface View {
  type: string;
  id: string;
  name?: string;
  element: { id: string; name?: string };
}

/** The choice among them; of one there is none. */
export function Views({ views, shown, open }: { views: View[]; shown: string; open: (view: View) => void }) {
  const t = useText();
  if (views.length < 2) return null;
  return (
    <SegmentedControl
      mb="xs"
      size="xs"
      value={shown}
      aria-label={t("decision.views")}
      onChange={(id) => {
        const view = views.find((v) => v.id === id);
        if (view) open(view);
      }}
      data={views.map((v) => ({ value: v.id, label: `${v.element.name ?? v.element.id}${v.type === "drd" ? ` (${t("decision.graph")})` : ""}` }))}
    />
  );
}
