import { useQuery } from "@tanstack/react-query";
import { get, getText } from "~/api/client";

/** What a task or a start event says of its form: `zeebe:formDefinition`'s attributes, or a plain text. */
export interface FormRef {
  formId?: string;
  formKey?: string;
  bindingType?: string;
  versionTag?: string;
  externalReference?: string;
}

export type Schema = { id?: string; components: unknown[] } & Record<string, unknown>;

const EMBEDDED = "camunda-forms:bpmn:";

export const formRef = (said: unknown): FormRef | undefined =>
  typeof said === "string" ? { formKey: said } : said && typeof said === "object" && ["formId", "formKey", "externalReference"].some((k) => k in said) ? (said as FormRef) : undefined;

/** The form's schema by its reference; `definition`: key of the process that refers to it. Null: it is not kept here. */
export async function schemaOf(ref: FormRef, definition: string | undefined, signal?: AbortSignal): Promise<Schema | null> {
  if (ref.formKey?.startsWith(EMBEDDED) && definition) {
    const xml = new DOMParser().parseFromString(await getText(`/definitions/${definition}/source`, signal), "text/xml");
    const found = [...xml.getElementsByTagNameNS("*", "userTaskForm")].find((e) => e.getAttribute("id") === ref.formKey!.slice(EMBEDDED.length));
    return found?.textContent ? (JSON.parse(found.textContent) as Schema) : null;
  }
  const id = ref.formId ?? ref.formKey;
  if (!id) return null;
  const listed = (await get("/definitions", { definition_id: id, kind: "form", limit: 100 }, signal)).items;
  let found = listed[0];
  if (ref.bindingType === "versionTag") found = listed.find((d) => d.version_tag === ref.versionTag);
  if (ref.bindingType === "deployment" && definition) {
    const own = await get(`/definitions/${definition}`, {}, signal);
    found = listed.find((d) => d.deployment === own.deployment);
  }
  return found ? (JSON.parse(await getText(`/definitions/${found.key}/source`, signal)) as Schema) : null;
}

export function useSchema(ref: FormRef | undefined, definition: string | undefined) {
  return useQuery({
    queryKey: ["form", ref, definition],
    enabled: ref !== undefined,
    staleTime: 60_000,
    queryFn: ({ signal }) => schemaOf(ref!, definition, signal),
  });
}
