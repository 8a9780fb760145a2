import { doors } from "./de-doors";
import { engine } from "./de-engine";
import { figures } from "./de-figures";
import { places } from "./de-places";

/** What the server refuses, in German: loaded with the first refusal that is read in German. */
export const refusals: Record<string, string> = { ...doors, ...places, ...engine, ...figures };
