import BpmnTreeWalker from "bpmn-js/lib/import/BpmnTreeWalker";
import { isExpanded } from "bpmn-js/lib/util/DiUtil";
import { getLabel, isLabelExternal } from "bpmn-js/lib/util/LabelUtil";
import { is } from "bpmn-js/lib/util/ModelUtil";
import { merge, walk } from "./merge";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

class Anew extends Error {}

const list = (v: Any): Any[] => (Array.isArray(v) ? v : v === undefined || v === null ? [] : [v]);

/**
 * Makes the drawing follow a document that others have changed, in place: objects that are in both stay the same objects (a field that is being typed in writes
 * to the one that is shown), what is selected stays selected. Where more has changed than can be followed in place, it is opened anew.
 *
 * @param touched ids of the elements with any change
 * @param begin as of `Drawing.follow`: reading takes its time, in which one goes on drawing
 */
export async function follow(m: Any, xml: string, touched: Set<string>, begin: () => boolean): Promise<boolean> {
  const { rootElement: fresh } = await m.get("moddle").fromXML(xml, "bpmn:Definitions");
  if (!begin()) return false;
  const definitions = m.getDefinitions();
  try {
    if (definitions.diagrams?.[0]?.plane?.bpmnElement?.id !== fresh.diagrams?.[0]?.plane?.bpmnElement?.id) throw new Anew();
    merge(definitions, fresh);
    const byId: Record<string, Any> = {};
    walk(definitions, (o) => o.id && (byId[o.id] = o));
    m._collectIds(definitions, byId);
    draw(m, definitions, touched);
  } catch (e) {
    if (!(e instanceof Anew)) console.warn("the drawing is opened anew", e);
    await openAnew(m, xml);
  }
  return true;
}

async function openAnew(m: Any, xml: string) {
  const canvas = m.get("canvas");
  const view = canvas.viewbox();
  const selected = m.get("selection").get().map((e: Any) => e.id);
  const inside = canvas.getRootElement()?.id;
  await m.importXML(xml);
  const there = canvas.getRootElements().find((e: Any) => e.id === inside);
  if (there) canvas.setRootElement(there);
  canvas.viewbox({ x: view.x, y: view.y, width: view.width, height: view.height });
  m.get("selection").select(selected.map((id: string) => m.get("elementRegistry").get(id)).filter(Boolean));
}

function draw(m: Any, definitions: Any, touched: Set<string>) {
  const [canvas, registry, importer, bus] = ["canvas", "elementRegistry", "bpmnImporter", "eventBus"].map((name) => m.get(name));
  const seen = new Set<string>();
  const changed = new Set<Any>();
  const errors: Any[] = [];
  const added: Any[] = [];

  const remove = (e: Any) => {
    if (registry.get(e.id) !== e) return;
    for (const c of [...(e.children ?? []), ...(e.labels ?? [])]) remove(c);
    for (const c of [...(e.attachers ?? [])]) c.host = null;
    if (e.waypoints) {
      canvas.removeConnection(e);
      e.source = e.target = null;
    } else {
      canvas.removeShape(e);
      e.host = null;
      if (e.labelTarget) e.labelTarget = null;
    }
  };
  const labelled = (e: Any, semantic: Any, di: Any) => {
    if (!isLabelExternal(semantic)) return;
    const text = getLabel(e);
    if (e.label && (touched.has(semantic.id) || !text)) remove(e.label);
    if (e.label) e.label.di = di;
    else if (text) importer.addLabel(semantic, di, e);
  };
  const stands = (e: Any, semantic: Any, di: Any, parent: Any) => {
    if (!e || e.businessObject !== semantic || e.type !== semantic.$type || Boolean(e.waypoints) !== is(di, "bpmndi:BPMNEdge")) return false;
    if (!is(semantic, "bpmn:DataStoreReference") && !is(semantic, "bpmn:DataAssociation") && e.parent !== parent) return false;
    if (e.waypoints) return e.source === importer._getSource(semantic) && e.target === importer._getTarget(semantic);
    if (is(semantic, "bpmn:BoundaryEvent") && e.host !== registry.get(semantic.attachedToRef?.id)) return false;
    return Boolean(e.collapsed) === !isExpanded(semantic, di);
  };
  const move = (e: Any, di: Any) => {
    if (e.waypoints) {
      const points = list(di.waypoint).map((p) => ({ x: p.x, y: p.y }));
      if (points.length < 2 || JSON.stringify(points) === JSON.stringify(e.waypoints.map((p: Any) => ({ x: p.x, y: p.y })))) return false;
      e.waypoints = points;
      return true;
    }
    const to = Object.fromEntries(["x", "y", "width", "height"].map((k) => [k, Math.round(di.bounds[k])]));
    if (Object.entries(to).every(([k, v]) => e[k] === v)) return false;
    Object.assign(e, to);
    return true;
  };

  for (const diagram of definitions.diagrams) {
    const walker = new BpmnTreeWalker({
      root(semantic: Any, di: Any) {
        const e = registry.get(is(semantic, "bpmn:SubProcess") ? `${semantic.id}_plane` : semantic.id);
        if (e && (e.businessObject !== semantic || e.parent)) throw new Anew();
        const root = e ?? importer.add(semantic, di);
        root.di = di;
        seen.add(root.id);
        return root;
      },
      element(semantic: Any, di: Any, parent: Any) {
        let e = registry.get(semantic.id);
        if (stands(e, semantic, di, parent)) {
          e.di = di;
          if (move(e, di) || touched.has(semantic.id)) changed.add(e);
          labelled(e, semantic, di);
        } else {
          if (e) remove(e);
          e = importer.add(semantic, di, parent);
          added.push(e);
        }
        seen.add(e.id);
        return e;
      },
      error: (message: string, context: Any) => errors.push(context?.error ?? message),
    } as Any);
    walker.handleDefinitions(definitions, diagram);
  }
  if (errors.some((e) => e instanceof Error)) throw errors.find((e) => e instanceof Error);
  const gone = registry.getAll().filter((e: Any) => !seen.has(e.id) && !(e.labelTarget && seen.has(e.labelTarget.id)));
  for (const e of gone) if (e.parent) remove(e);
  for (const e of gone) {
    if (e.parent || !canvas.getRootElements().includes(e)) continue;
    // somebody has deleted the sub-process that one is in: out of it
    if (e === canvas.getRootElement()) canvas.setRootElement(registry.get(definitions.diagrams[0].plane.bpmnElement.id));
    canvas.removeRootElement(e);
  }
  // the way into a folded sub-process, which the modeler puts on what is drawn here or imported
  const ways = m.get("drilldownOverlayBehavior", false);
  for (const e of added) if (registry.get(e.id) === e && ways?._canDrillDown(e)) ways._addOverlay(e);
  const still = [...changed].filter((e) => registry.get(e.id) === e);
  if (still.length) bus.fire("elements.changed", { elements: still });
}
