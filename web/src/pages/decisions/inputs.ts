/** Names of the input data that a DMN model asks for: what can be given to try it. */
export function inputsOf(xml: string): string[] {
  const doc = new DOMParser().parseFromString(xml, "text/xml");
  const named = [...doc.getElementsByTagNameNS("*", "inputData")].map((e) => e.getAttribute("name") ?? "");
  const spoken = [...doc.getElementsByTagNameNS("*", "inputExpression")].map((e) => e.getElementsByTagNameNS("*", "text")[0]?.textContent?.trim() ?? "").filter((x) => /^[\p{L}_][\p{L}\p{N}_]*$/u.test(x));
  return [...new Set((named.length ? named : spoken).filter(Boolean))];
}
