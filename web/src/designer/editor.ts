import type { Person, Where } from "~/api/presence";
import type { Template } from "./templates";
import type { Shared } from "./together/shared";

/** What a page asks of an editor, whatever it draws. */
export interface Mark {
  element: string;
  severity: string;
  message: string;
}

/** What a trial shows on a process. */
export interface Shown {
  /** tokens by element */
  active: Record<string, number>;
  incidents: Set<string>;
  /** elements and flows that were reached, and how often; undefined: no trial is on */
  covered?: Record<string, number>;
}

export interface Editor {
  /** The whole text as it is now. */
  text: () => Promise<string>;
  /** Make it the one that is looked at. */
  select: (element: string) => void;
  undo: () => void;
  redo: () => void;
  fit: () => void;
  marks: (marks: Mark[]) => void;
  show: (shown: Shown | null) => void;
  svg?: () => Promise<string>;
  /** What is drawn is in the document that it was given, at once. */
  shared?: boolean;
  /** Others who look at it, where they are and what they have selected. */
  people?: (others: Person[]) => void;
  /** New element templates are there. */
  templates?: (all: Template[]) => void;
  /** Puts a template onto an element, or makes an element of it. */
  apply?: (template: string, version: number | undefined, element: string | undefined) => void;
}

export interface EditorProps {
  /** opened once; a new `key` opens another */
  text: string;
  label: string;
  /** the document that others draw too; `adopt`: the text takes the place of what it has */
  shared?: Shared;
  adopt?: boolean;
  /** where the properties are shown */
  properties: HTMLElement | null;
  /** something was changed, undone or redone */
  onChange: (can: { undo: boolean; redo: boolean }) => void;
  onReady: (editor: Editor) => void;
  /** it can't be opened */
  onFailed: (why: string) => void;
  onSelect?: (element: string | undefined) => void;
  /** where one is oneself, for the others */
  onWhere?: (where: Partial<Where>) => void;
}
