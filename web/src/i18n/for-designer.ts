import { brings } from ".";
import { designer } from "./en-designer";

export const texts = brings(designer);
