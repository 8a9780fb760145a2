import { texts } from "./for-designer";
import "./for-insight";
import "./for-operations";

/** All of it, those of pages that bring their own as well. */
export const english = texts;
