import { createContext, useContext } from "react";

/** What elements of the model on the page are called, by id. */
export const Names = createContext<Map<string, string> | undefined>(undefined);

/** An element as its author called it; its id where it has no name, or no model is on the page. */
export function useNameOf(): (id: string) => string {
  const names = useContext(Names);
  return (id) => names?.get(id) || id;
}
