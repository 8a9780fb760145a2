import { data } from "./de-data";
import { decisions } from "./de-decisions";
import { flow } from "./de-flow";
import { hints } from "./de-hints";
import { parts } from "./de-parts";
import { read } from "./de-read";
import { written } from "./de-texts";

/** What `validate` finds, in German, by its code: loaded with the first list of findings that is read in German. */
export const findings: Record<string, string> = { ...flow, ...parts, ...data, ...read, ...decisions, ...written, ...hints };
