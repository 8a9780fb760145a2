import { describe, expect, it } from "vitest";
import { bodyOf, offered, secretName, wishOf, wrongs } from "~/pages/operations/webhooks/wish";

const good = { ...wishOf(), name: "orders", url: "https://example.com/in", secrets: ["HOOK"] };

describe("a webhook as it is asked for", () => {
  it("says what is wrong, by field", () => {
    expect(wrongs(good)).toEqual({});
    expect(Object.keys(wrongs(wishOf())).sort()).toEqual(["name", "secrets", "url"]);
    expect(wrongs({ ...good, url: "ftp://x" }).url).toBe("hooks.wrong.url");
    expect(wrongs({ ...good, url: "https://me:pw@x" }).url).toBe("hooks.wrong.user");
    expect(wrongs({ ...good, secrets: ["whsec_abc"] }).secrets).toBe("hooks.wrong.value");
    expect(wrongs({ ...good, name: "a/b" }).name).toBe("hooks.wrong.name");
  });
  it("names secrets, and never holds one", () => {
    expect(secretName("{{secrets.HOOK}}")).toBe("HOOK");
    expect(bodyOf(good, true)).toEqual({ url: "https://example.com/in", secrets: ["{{secrets.HOOK}}"], types: [], definitions: [], filter: "", order: "" });
  });
  it("begins in the past only when it is made", () => {
    expect(bodyOf({ ...good, past: true }, true)).toHaveProperty("position", "start");
    expect(bodyOf({ ...good, past: true }, false)).not.toHaveProperty("position");
  });
  it("offers families of events, too", () => {
    expect(offered).toContain("task.*");
    expect(offered).toContain("workflow.completed");
  });
});
