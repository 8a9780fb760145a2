import { brings } from ".";
import { audit } from "./en-audit";

export const texts = brings(audit);
