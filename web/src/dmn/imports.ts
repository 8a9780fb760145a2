/** Other decision models that a DMN file imports. */
export function importsOf(xml: string): { name: string; namespace: string }[] {
  const root = new DOMParser().parseFromString(xml, "text/xml").documentElement;
  const own = root.getAttribute("namespace");
  return [...root.children]
    .filter((e) => e.localName === "import" && (!e.getAttribute("importType") || e.getAttribute("importType")!.includes("/DMN/")))
    .map((e) => ({ name: e.getAttribute("name") ?? "", namespace: e.getAttribute("namespace") ?? "" }))
    .filter((i) => i.namespace !== own);
}
