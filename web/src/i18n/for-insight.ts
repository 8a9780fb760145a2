import { brings } from ".";
import { ahead } from "./en-ahead";
import { reports } from "./en-reports";
import "./for-audit";

export const texts = brings(ahead, reports);
