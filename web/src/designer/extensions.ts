/** Our own extension elements in the properties panel: who gets a task and by when, attempts, business states (docs/tasks.md, docs/formats.md). */
import { SelectEntry, TextFieldEntry, isSelectEntryEdited, isTextFieldEntryEdited } from "@bpmn-io/properties-panel";
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

const holder = (element: Any, type: string): Any => (getBusinessObject(element).get("extensionElements")?.get("values") ?? []).find((v: Any) => is(v, type));

/** The attribute is set where its element is; the element is made when it lacks, and goes with its last attribute. */
function set(element: Any, field: Field, value: string | undefined, modeling: Any, factory: Any) {
  const object = getBusinessObject(element);
  const given = value || undefined;
  let extensions = object.get("extensionElements");
  const found = holder(element, field.of);
  if (found) {
    const left = Object.keys(found.$descriptor.propertiesByName).some((n) => n !== field.name && !n.includes(":") && found.get(n) !== undefined && String(found.get(n)).length > 0);
    if (given === undefined && !left) modeling.updateModdleProperties(element, extensions, { values: extensions.get("values").filter((v: Any) => v !== found) });
    else modeling.updateModdleProperties(element, found, { [field.name]: given });
    return;
  }
  if (given === undefined) return;
  if (!extensions) {
    extensions = factory.create("bpmn:ExtensionElements", { values: [] });
    extensions.$parent = object;
  }
  const made = factory.create(field.of, { [field.name]: given });
  made.$parent = extensions;
  const values = [...extensions.get("values"), made];
  if (object.get("extensionElements")) modeling.updateModdleProperties(element, extensions, { values });
  else {
    extensions.values = values;
    modeling.updateProperties(element, { extensionElements: extensions });
  }
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
    static $inject = ["propertiesPanel"];
    constructor(panel: Any) {
      panel.registerProvider(400, this);
    }
    getGroups(element: Any) {
      return (groups: Any[]) => [
        ...groups,
        ...GROUPS.filter((g) => g.on.some((type) => is(element, type)) && element.type !== "label").map((g) => ({
          id: `flowledger-${g.id}`,
          label: say(`designer.own.${g.id}`),
          entries: g.fields.map((field) => ({ id: `flowledger-${g.id}-${field.name}`, component: Entry, field, say, isEdited: field.choices ? isSelectEntryEdited : isTextFieldEntryEdited })),
        })),
      ];
    }
  }
  return { __init__: ["ownProperties"], ownProperties: ["type", Provider] };
}
