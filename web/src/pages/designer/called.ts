import { get, getText } from "~/api/client";
import { calledOf } from "./trial";

/** models that are given beside the draft */
const MOST = 19;

/** What a draft calls, as it is deployed, and what that calls; what is not deployed lacks, and the trial says so. */
export async function deployed(ids: string[], signal?: AbortSignal): Promise<{ name: string; content: string }[]> {
  const models = new Map<string, { name: string; content: string }>();
  const seen = new Set<string>();
  let next = ids;
  while (next.length > 0 && models.size < MOST) {
    const found: string[] = [];
    for (const id of next) {
      if (seen.has(id) || models.size >= MOST) continue;
      seen.add(id);
      const definition = (await get("/definitions", { definition_id: id, latest: true, limit: 1 }, signal)).items[0];
      if (!definition) continue;
      const content = await getText(`/definitions/${definition.key}/source`, signal);
      const name = definition.resource || `${id}.bpmn`;
      if ([...models.values()].some((m) => m.content === content)) continue;
      models.set(definition.key, { name: `deployed/${definition.key}/${name}`, content });
      found.push(...calledOf(content));
    }
    next = found;
  }
  return [...models.values()];
}
