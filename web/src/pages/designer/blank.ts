/** Where a new drawing begins. */
export type Kind = "process" | "decision" | "form";

/** Letters, digits and dashes of a name: an id in a model, and a file's name. */
export function idOf(name: string, fallback: string): string {
  const plain = name.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return /^[a-z]/.test(plain) ? plain.slice(0, 60) : plain ? `${fallback}-${plain}`.slice(0, 60) : fallback;
}

const escape = (text: string) => text.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);

export function blank(kind: Kind, name: string): string {
  const id = idOf(name, kind);
  const title = escape(name);
  if (kind === "form") return JSON.stringify({ type: "default", id, schemaVersion: 18, components: [{ type: "text", text: `# ${name}`, id: "title" }] }, null, 2);
  if (kind === "decision")
    return `<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" xmlns:dmndi="https://www.omg.org/spec/DMN/20191111/DMNDI/" xmlns:dc="http://www.omg.org/spec/DMN/20180521/DC/" id="${id}-model" name="${title}" namespace="urn:flowledger:designer">
  <decision id="${id}" name="${title}">
    <decisionTable id="${id}-table">
      <input id="${id}-input"><inputExpression id="${id}-asked" typeRef="string"><text></text></inputExpression></input>
      <output id="${id}-output" typeRef="string" />
    </decisionTable>
  </decision>
  <dmndi:DMNDI><dmndi:DMNDiagram id="${id}-diagram"><dmndi:DMNShape id="${id}-shape" dmnElementRef="${id}"><dc:Bounds height="80" width="180" x="160" y="100" /></dmndi:DMNShape></dmndi:DMNDiagram></dmndi:DMNDI>
</definitions>
`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:flowledger="urn:flowledger:bpmn:1" id="${id}-model" targetNamespace="urn:flowledger:designer">
  <bpmn:process id="${id}" name="${title}" isExecutable="true">
    <bpmn:startEvent id="start" />
  </bpmn:process>
  <bpmndi:BPMNDiagram id="${id}-diagram">
    <bpmndi:BPMNPlane id="${id}-plane" bpmnElement="${id}">
      <bpmndi:BPMNShape id="start-shape" bpmnElement="start"><dc:Bounds x="180" y="160" width="36" height="36" /></bpmndi:BPMNShape>
    </bpmndi:BPMNPlane>
  </bpmndi:BPMNDiagram>
</bpmn:definitions>
`;
}

export const suffix = (kind: Kind) => (kind === "decision" ? "dmn" : kind === "form" ? "form" : "bpmn");

/** The name of the file under which a draft is checked, deployed and saved. A text that is none of ours keeps its kind's. */
export const fileName = (name: string, kind: Kind, text: string) => `${idOf(name, kind)}.${kind === "process" && !text.trimStart().startsWith("<") ? (/^\s*[[{]/.test(text) ? "json" : "yaml") : suffix(kind)}`;

/** A process in BPMN of which nothing is drawn. */
export const bare = (kind: Kind, text: string) => kind === "process" && drawable(kind, text) && !/:?BPMNShape[\s>]/.test(text);

/** Whether the editor of that kind can open it. */
export function drawable(kind: Kind, text: string): boolean {
  if (kind === "form") return /^\s*\{/.test(text);
  if (kind === "decision") return text.includes("omg.org/spec/DMN/");
  return text.includes("http://www.omg.org/spec/BPMN/");
}
