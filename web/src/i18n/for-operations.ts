import { brings } from ".";
import { platform } from "./en-platform";

export const texts = brings(platform);
