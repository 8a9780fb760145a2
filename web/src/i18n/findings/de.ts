import { data } from "./de-data";
import { flow } from "./de-flow";
import { parts } from "./de-parts";
import { read } from "./de-read";

/** What `validate` finds, in German, by its code: loaded with the first list of findings that is read in German. */
export const findings: Record<string, string> = { ...flow, ...parts, ...data, ...read };
