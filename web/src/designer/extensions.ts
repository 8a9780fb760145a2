/** Our own extension elements in the properties panel: who gets a task and by when, attempts, business states (docs/tasks.md, docs/formats.md). */
import { ListGroup, SelectEntry, TextFieldEntry, isSelectEntryEdited, isTextFieldEntryEdited } from "@bpmn-io/properties-panel";
import { useService } from "bpmn-js-properties-panel";
import { getBusinessObject, is } from "bpmn-js/lib/util/ModelUtil";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;
export type Say = (key: string) => string;

interface Field {
  /** type of the extension element and its attribute */
  of: "flowledger:Task" | "flowledger:Retry" | "flowledger:BusinessState";
  name: string;
  choices?: string[];
}

const GROUPS: { id: string; on: string[]; fields: Field[] }[] = [
  {
    id: "people",
    on: ["bpmn:UserTask"],
    fields: [
      { of: "flowledger:Task", name: "strategy", choices: ["", "role", "skill", "least_loaded", "round_robin", "weighted", "recommended", "first"] },
      ...["reference", "groups", "users", "skills", "fallback", "assignTimeout", "notBy"].map((name): Field => ({ of: "flowledger:Task", name })),
      { of: "flowledger:Task", name: "stepUp", choices: ["", "true"] },
    ],
  },
  { id: "time", on: ["bpmn:UserTask", "bpmn:ServiceTask", "bpmn:Process"], fields: ["sla", "calendar"].map((name): Field => ({ of: "flowledger:Task", name })) },
  {
    id: "attempts",
    on: ["bpmn:ServiceTask", "bpmn:SendTask", "bpmn:BusinessRuleTask", "bpmn:ScriptTask"],
    fields: [
      { of: "flowledger:Retry", name: "maxAttempts" },
      { of: "flowledger:Retry", name: "strategy", choices: ["", "fixed", "linear", "exponential", "fibonacci"] },
      ...["initialMs", "maxMs", "multiplier", "jitter", "codes", "totalMs"].map((name): Field => ({ of: "flowledger:Retry", name })),
    ],
  },
  { id: "state", on: ["bpmn:Task", "bpmn:SequenceFlow"], fields: ["enter", "success", "failure"].map((name): Field => ({ of: "flowledger:BusinessState", name })) },
];

/** what a task has several of, and the fields of each */
const LISTS: { id: string; of: string; on: string[]; fields: string[] }[] = [
  { id: "reminders", of: "flowledger:Reminder", on: ["bpmn:UserTask"], fields: ["before"] },
  { id: "escalations", of: "flowledger:Escalation", on: ["bpmn:UserTask"], fields: ["after", "afterDue", "to", "notify", "priority", "code", "reason"] },
];

const holder = (element: Any, type: string): Any => (getBusinessObject(element).get("extensionElements")?.get("values") ?? []).find((v: Any) => is(v, type));

const TASK = "flowledger:Task";
const attributes = (found: Any): string[] =>
  Object.keys(found.$descriptor.propertiesByName).filter((n) => !n.includes(":") && found.get(n) !== undefined && String(found.get(n)).length > 0);

function put(element: Any, type: string, given: object, modeling: Any, factory: Any) {
  const object = getBusinessObject(element);
  let extensions = object.get("extensionElements");
  if (!extensions) {
    extensions = factory.create("bpmn:ExtensionElements", { values: [] });
    extensions.$parent = object;
  }
  const made = factory.create(type, given);
  made.$parent = extensions;
  const values = [...extensions.get("values"), made];
  if (object.get("extensionElements")) modeling.updateModdleProperties(element, extensions, { values });
  else {
    extensions.values = values;
    modeling.updateProperties(element, { extensionElements: extensions });
  }
  return made;
}

function drop(element: Any, found: Any, modeling: Any) {
  const extensions = getBusinessObject(element).get("extensionElements");
  modeling.updateModdleProperties(element, extensions, { values: extensions.get("values").filter((v: Any) => v !== found) });
}

/** The attribute is set where its element is; the element is made when it lacks, and goes with its last attribute. */
function set(element: Any, field: Field, value: string | undefined, modeling: Any, factory: Any) {
  const given = value || undefined;
  const found = holder(element, field.of);
  if (!found) given === undefined || put(element, field.of, { [field.name]: given }, modeling, factory);
  else if (given === undefined && attributes(found).every((n) => n === field.name)) drop(element, found, modeling);
  else modeling.updateModdleProperties(element, found, { [field.name]: given });
}

const parts = (task: Any, of: string): Any[] => (task?.get("parts") ?? []).filter((p: Any) => is(p, of));

function add(element: Any, of: string, modeling: Any, factory: Any) {
  const made = factory.create(of, {});
  const task = holder(element, TASK);
  if (task) modeling.updateModdleProperties(element, task, { parts: [...task.get("parts"), made] });
  made.$parent = task ?? put(element, TASK, { parts: [made] }, modeling, factory);
}

function remove(element: Any, part: Any, modeling: Any) {
  const task = holder(element, TASK);
  const left = task.get("parts").filter((p: Any) => p !== part);
  if (!left.length && attributes(task).every((n) => n === "parts")) drop(element, task, modeling);
  else modeling.updateModdleProperties(element, task, { parts: left });
}

/** A field of one of several. */
function PartEntry(props: Any) {
  const { element, id, part, name, say } = props as { element: Any; id: string; part: Any; name: string; say: Say };
  const modeling = useService("modeling");
  const debounce = useService("debounceInput");
  return TextFieldEntry({
    element,
    id,
    label: say(`designer.own.part.${name}`),
    getValue: () => part.get(name) ?? "",
    setValue: (value: string) => modeling.updateModdleProperties(element, part, { [name]: value || undefined }),
    debounce,
  } as Any);
}

function Entry(props: Any) {
  const { element, id, field, say } = props as { element: Any; id: string; field: Field; say: Say };
  const modeling = useService("modeling");
  const factory = useService("bpmnFactory");
  const debounce = useService("debounceInput");
  const shared = {
    element,
    id,
    label: say(`designer.own.${field.of.slice(11).toLowerCase()}.${field.name}`),
    getValue: () => holder(element, field.of)?.get(field.name) ?? "",
    setValue: (value: string) => set(element, field, value, modeling, factory),
  };
  if (field.choices) return SelectEntry({ ...shared, getOptions: () => field.choices!.map((value) => ({ value, label: value || say("designer.own.none") })) } as Any);
  return TextFieldEntry({ ...shared, debounce } as Any);
}

/** A module for the modeler. */
export function ownProperties(say: Say) {
  class Provider {
    static $inject = ["propertiesPanel", "modeling", "bpmnFactory"];
    constructor(
      panel: Any,
      private modeling: Any,
      private factory: Any,
    ) {
      panel.registerProvider(400, this);
    }
    list(element: Any, { id, of, fields }: (typeof LISTS)[number]) {
      const items = parts(holder(element, TASK), of).map((part, n) => ({
        id: `flowledger-${id}-${n}`,
        label: fields.map((name) => part.get(name)).filter(Boolean).join(" · ") || say("designer.own.none"),
        entries: fields.map((name) => ({ id: `flowledger-${id}-${n}-${name}`, component: PartEntry, part, name, say, isEdited: isTextFieldEntryEdited })),
        remove: (event: Event) => (event.stopPropagation(), remove(element, part, this.modeling)),
      }));
      const more = (event: Event) => (event.stopPropagation(), add(element, of, this.modeling, this.factory));
      return { id: `flowledger-${id}`, label: say(`designer.own.${id}`), component: ListGroup, element, items, add: more };
    }
    getGroups(element: Any) {
      return (groups: Any[]) => [
        ...groups,
        ...GROUPS.filter((g) => g.on.some((type) => is(element, type)) && element.type !== "label").map((g) => ({
          id: `flowledger-${g.id}`,
          label: say(`designer.own.${g.id}`),
          entries: g.fields.map((field) => ({ id: `flowledger-${g.id}-${field.name}`, component: Entry, field, say, isEdited: field.choices ? isSelectEntryEdited : isTextFieldEntryEdited })),
        })),
        ...LISTS.filter((l) => l.on.some((type) => is(element, type)) && element.type !== "label").map((l) => this.list(element, l)),
      ];
    }
  }
  return { __init__: ["ownProperties"], ownProperties: ["type", Provider] };
}
