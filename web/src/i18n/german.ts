import { de } from "./de";
import { ahead } from "./de-ahead";
import { audit } from "./de-audit";
import { control } from "./de-control";
import { designer } from "./de-designer";
import { doors } from "./de-doors";
import { events } from "./de-events";
import { insight } from "./de-insight";
import { platform } from "./de-platform";
import { privacy } from "./de-privacy";
import { reports } from "./de-reports";
import { second } from "./de-second";

/** All German texts: loaded when somebody reads German. */
export const german: Record<string, string> = { ...de, ...ahead, ...audit, ...control, ...designer, ...doors, ...events, ...insight, ...platform, ...privacy, ...reports, ...second };
