import "bpmn-js/dist/assets/diagram-js.css";
import "bpmn-js/dist/assets/bpmn-js.css";
import "bpmn-js/dist/assets/bpmn-font/css/bpmn.css";
import "./diagram.css";
import { ActionIcon, Group, Menu, Tooltip, useComputedColorScheme, VisuallyHidden } from "@mantine/core";
import NavigatedViewer from "bpmn-js/lib/NavigatedViewer";
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { createPortal } from "react-dom";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { save } from "~/shared/save";
import { BADGE, drawn, type Colours, type Element as Drawn } from "./drawn";
import { inOrder, led } from "./keys";

export interface Badge {
  active?: number;
  incidents?: number;
  done?: number;
  text?: string;
}

interface Props {
  xml: string;
  /** which of the processes in it; the first that is drawn unless given */
  process?: string;
  /** what stands at each element; elements without a number get nothing */
  badges?: Record<string, Badge>;
  /** classes by element: `fl-done`, `fl-active`, `fl-incident`, `fl-added` … */
  marks?: Record<string, string[]>;
  selected?: string;
  onSelect?: (element: string | undefined) => void;
  height?: number | string;
  label: string;
  onReady?: (elements: string[]) => void;
  /** what can be done at an element that is chosen: the entries of a menu on it; null: nothing */
  menu?: (element: string) => ReactNode;
  /** shown as a whole, however small */
  whole?: boolean;
}

/** Below this nothing on a drawing can be read. */
const LEAST = 0.4;

/* eslint-disable @typescript-eslint/no-explicit-any */
type Service = any;

/** The only place that knows the viewer. It is made once; data is patched in by element, so a selection survives the news. */
export function Diagram({ xml, process, badges = {}, marks = {}, selected, onSelect, height = 360, label, onReady, menu, whole = false }: Props) {
  const t = useText();
  const dark = useComputedColorScheme("light") === "dark";
  const box = useRef<HTMLDivElement>(null);
  const viewer = useRef<NavigatedViewer>(undefined);
  const sequence = useRef(0);
  const select = useRef(onSelect);
  select.current = onSelect;
  const ready = useRef(onReady);
  ready.current = onReady;
  const [shown, setShown] = useState(0);
  const [failed, setFailed] = useState<string>();
  const [slots, setSlots] = useState<Record<string, HTMLElement>>({});
  const [corner, setCorner] = useState<{ element: string; node: HTMLElement }>();
  const [open, setOpen] = useState(false);
  const [said, setSaid] = useState("");
  const opens = useRef(false);
  opens.current = menu !== undefined;

  useEffect(() => {
    const colours = dark ? { defaultFillColor: "#25262b", defaultStrokeColor: "#c1c2c5", defaultLabelColor: "#d5d7da" } : {};
    const v = new NavigatedViewer({ container: box.current!, bpmnRenderer: colours } as any);
    viewer.current = v;
    const click = (e: any) => {
      const element = e.element?.type === "label" ? e.element.labelTarget : e.element;
      const root = !element || element.parent == null;
      select.current?.(root ? undefined : element.id);
    };
    v.on("import.parse.complete", (e: any) => {
      for (const each of Object.values<any>(e.elementsById ?? {})) if (!each.name && each.$instanceOf?.("bpmn:Activity")) each.name = each.id;
    });
    v.on("element.click", click);
    v.on("element.contextmenu", (e: any) => {
      if (!opens.current) return;
      e.originalEvent.preventDefault();
      click(e);
      setOpen(true);
    });
    box.current!.querySelector("svg[tabindex]")?.setAttribute("tabindex", "-1"); // one stop for the tab key, not two
    const seen = new ResizeObserver(() => (v.get("canvas") as Service).resized());
    seen.observe(box.current!);
    return () => {
      seen.disconnect();
      v.destroy();
      viewer.current = undefined;
      setSlots({});
      setCorner(undefined);
    };
  }, [dark]);

  useEffect(() => {
    const v = viewer.current;
    if (!v || !xml) return;
    const mine = ++sequence.current;
    v.importXML(xml)
      .then(async () => {
        const other = diagramOf(v, process);
        if (other && mine === sequence.current) await v.open(other);
        if (mine !== sequence.current) return;
        setFailed(undefined);
        (v.get("canvas") as Service).zoom("fit-viewport", "auto");
        setSlots({});
        setShown((n) => n + 1);
        ready.current?.((v.get("elementRegistry") as Service).getAll().map((e: any) => e.id));
      })
      .catch((e: Error) => mine === sequence.current && setFailed(e.message));
  }, [xml, process, dark]);

  const marked = useRef<Record<string, string[]>>({});
  useEffect(() => {
    const v = viewer.current;
    if (!v || !shown) return;
    const canvas = v.get("canvas") as Service;
    const registry = v.get("elementRegistry") as Service;
    const wanted: Record<string, string[]> = { ...marks };
    if (selected) wanted[selected] = [...(wanted[selected] ?? []), "fl-selected"];
    for (const [id, classes] of Object.entries(marked.current))
      for (const c of classes) if (registry.get(id) && !wanted[id]?.includes(c)) canvas.removeMarker(id, c);
    for (const [id, classes] of Object.entries(wanted))
      for (const c of classes) if (registry.get(id) && !canvas.hasMarker(id, c)) canvas.addMarker(id, c);
    marked.current = wanted;
  }, [marks, selected, shown]);

  // one empty node per busy element; React fills it
  const places = Object.keys(badges).sort().join(" ");
  useEffect(() => {
    const v = viewer.current;
    if (!v || !shown) return;
    const overlays = v.get("overlays") as Service;
    const registry = v.get("elementRegistry") as Service;
    overlays.remove({ type: "fl-badge" });
    const made: Record<string, HTMLElement> = {};
    for (const id of places ? places.split(" ") : []) {
      if (!registry.get(id) || registry.get(id).waypoints) continue;
      const html = document.createElement("div");
      overlays.add(id, "fl-badge", { position: { bottom: 10, left: -8 }, html, scale: { min: 0.8, max: 1.2 } });
      made[id] = html;
    }
    setSlots(made);
  }, [places, shown]);

  // where the menu of the chosen element stands
  const items = selected && shown ? menu?.(selected) : null;
  const has = Boolean(items);
  useEffect(() => {
    const v = viewer.current;
    const shape = v && shown && selected && has ? (v.get("elementRegistry") as Service).get(selected) : undefined;
    if (!v || !shape || shape.waypoints) return;
    const html = document.createElement("div");
    (v.get("overlays") as Service).add(shape, "fl-menu", { position: { top: -16, right: 6 }, html, scale: { min: 0.9, max: 1.2 } });
    setCorner({ element: shape.id, node: html });
    return () => {
      (viewer.current?.get("overlays") as Service)?.remove({ type: "fl-menu" });
      setCorner(undefined);
    };
  }, [selected, has, shown]);
  useEffect(() => {
    if (!selected) setOpen(false);
  }, [selected]);

  // where the whole is too small to be read, one sees what is busy
  const near = useRef(0);
  useEffect(() => {
    const canvas = viewer.current?.get("canvas") as Service;
    if (!canvas || !shown || whole || near.current === shown || canvas.zoom() >= LEAST) return;
    const registry = viewer.current!.get("elementRegistry") as Service;
    const busy = [selected, ...places.split(" ")].map((id) => id && registry.get(id)).find((x) => x && !x.waypoints && canvas.findRoot(x) === canvas.getRootElement());
    const first = busy ?? registry.get(inOrder(registry.filter((x: any) => x.businessObject?.$instanceOf?.("bpmn:FlowNode") && !x.labelTarget && canvas.findRoot(x) === canvas.getRootElement()))[0]);
    const { outer, inner } = canvas.viewbox();
    if (!first || !outer.width) return;
    if (busy) near.current = shown;
    const [width, height] = [outer.width / LEAST, outer.height / LEAST];
    canvas.viewbox({ x: Math.max(inner.x - 30, first.x + first.width / 2 - width * 0.4), y: first.y + first.height / 2 - height / 2, width, height });
  }, [places, selected, shown, whole]);

  const called = (id: string): string => (viewer.current?.get("elementRegistry") as Service)?.get(id)?.businessObject?.name?.trim() || id;
  const elements = (): Drawn[] =>
    (viewer.current!.get("elementRegistry") as Service).getAll().map((e: any) => ({
      id: e.id,
      name: called(e.id),
      marks: marks[e.id] ?? [],
      badges: e.labelTarget || !badges[e.id] ? [] : texts(badges[e.id]!).map(([kind, text]) => ({ text, colour: BADGE[kind] })),
      box: e.waypoints || e.labelTarget ? undefined : { x: e.x, y: e.y, width: e.width, height: e.height },
    }));
  const keys = (e: KeyboardEvent) => {
    const v = viewer.current;
    if (!v || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "+") return zoom(1.2);
    if (e.key === "-") return zoom(1 / 1.2);
    if (!select.current) return;
    if (has && (e.key === "Enter" || e.key === " " || e.key === "ContextMenu" || (e.key === "F10" && e.shiftKey))) {
      e.preventDefault();
      return setOpen(true);
    }
    if (e.key === "Escape") return select.current(undefined);
    const canvas = v.get("canvas") as Service;
    const root = canvas.getRootElement();
    const there = (v.get("elementRegistry") as Service).filter((x: any) => !x.waypoints && !x.labelTarget && x.businessObject?.$instanceOf?.("bpmn:FlowNode") && canvas.findRoot(x) === root);
    const next = led(e.key, inOrder(there), selected);
    if (!next) return;
    e.preventDefault();
    canvas.scrollToElement(next, 60);
    const badge = badges[next];
    setSaid([called(next), badge?.active && t("diagram.said.active", { count: badge.active }), badge?.incidents && t("diagram.said.incidents", { count: badge.incidents })].filter(Boolean).join(", "));
    select.current(next);
  };
  const zoom = (by: number) => {
    near.current = shown;
    const canvas = viewer.current?.get("canvas") as Service;
    canvas?.zoom(canvas.zoom() * by, "auto");
  };
  return (
    <div style={{ position: "relative" }}>
      <div ref={box} className="fl-diagram" data-shown={shown || undefined} style={{ height }} role="group" aria-label={label} tabIndex={0} aria-description={onSelect && t(menu ? "diagram.keys.menu" : "diagram.keys")} onKeyDown={keys} />
      <VisuallyHidden aria-live="polite">{said}</VisuallyHidden>
      {failed && (
        <div role="alert" className="fl-diagram-failed">
          {t("diagram.failed", { why: failed })}
        </div>
      )}
      <Group gap={2} className="fl-diagram-tools">
        <Tool
          label={t("diagram.fit")}
          icon="fit"
          onClick={() => {
            near.current = shown;
            (viewer.current?.get("canvas") as Service)?.zoom("fit-viewport", "auto");
          }}
        />
        <Tool label={t("diagram.in")} icon="plus" onClick={() => zoom(1.25)} />
        <Tool
          label={t("diagram.svg")}
          icon="download"
          onClick={async () => {
            const { svg } = await viewer.current!.saveSVG();
            save("diagram.svg", "image/svg+xml", drawn(svg, elements(), colours(box.current!)));
          }}
        />
      </Group>
      {Object.entries(slots).map(([id, node]) => {
        const b = badges[id];
        return b && createPortal(<Badges of={b} />, node, id);
      })}
      {corner &&
        corner.element === selected &&
        items &&
        createPortal(
          <Menu opened={open} onChange={setOpen} position="right-start" withinPortal>
            <Menu.Target>
              <ActionIcon size="sm" radius="xl" variant="filled" aria-label={t("diagram.menu", { element: called(selected) })}>
                <Icon name="more" size={14} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>{items}</Menu.Dropdown>
          </Menu>,
          corner.node,
        )}
    </div>
  );
}

/** The drawing of a process where it isn't the first of the file: its own, or that of the collaboration which it takes part in. */
function diagramOf(v: NavigatedViewer, process: string | undefined): any {
  const definitions = v.getDefinitions() as any;
  const drawn = (definitions?.diagrams ?? []) as any[];
  if (!process || drawn.length < 2) return undefined;
  const of = (d: any) => d.plane?.bpmnElement;
  const found = drawn.find((d) => of(d)?.id === process) ?? drawn.find((d) => (of(d)?.participants ?? []).some((p: any) => p.processRef?.id === process));
  return found === drawn[0] ? undefined : found;
}

function Tool({ label, icon, onClick }: { label: string; icon: "fit" | "plus" | "download"; onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="default" size="md" aria-label={label} onClick={onClick}>
        <Icon name={icon} size={15} />
      </ActionIcon>
    </Tooltip>
  );
}

/** What stands at an element, on the page and in its file. */
function texts(of: Badge): [keyof typeof BADGE, string][] {
  const all: [keyof typeof BADGE, string | number | undefined][] = [
    ["bad", of.incidents && `! ${of.incidents}`],
    ["active", of.active],
    ["done", of.done && `✓ ${of.done}`],
    ["other", of.text],
  ];
  return all.flatMap(([kind, text]) => (text ? [[kind, String(text)]] : []));
}

function Badges({ of }: { of: Badge }) {
  return (
    <div className="fl-badges">
      {texts(of).map(([kind, text]) => (
        <span key={kind} className={`fl-badge fl-badge-${kind}`}>
          {text}
        </span>
      ))}
    </div>
  );
}

/** Those of the page as it is shown. */
function colours(at: HTMLElement): Colours {
  const style = getComputedStyle(at);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { ground: style.backgroundColor, ok: of("--fl-ok"), bad: of("--fl-bad"), wait: of("--fl-wait") };
}
