import { afterEach, beforeEach, expect, test, vi } from "vitest";

/** What is asked for before a page is there, and taken by the page. */
const asked: string[] = [];
let answers: (url: string) => Promise<Response>;

beforeEach(() => {
  vi.resetModules();
  asked.length = 0;
  answers = async (url) => new Response(JSON.stringify({ url, n: asked.length }), { headers: { "Content-Type": "application/json" } });
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    return answers(url);
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("an answer that was asked for ahead is taken once", async () => {
  const { early, get } = await import("../src/api/client");
  await early("/instances/7");
  const found = await get("/instances/7" as never);
  expect(found).toEqual({ url: "/v1/instances/7", n: 1 });
  expect(asked).toEqual(["/v1/instances/7"]);
  await get("/instances/7" as never);
  expect(asked).toHaveLength(2);
});

test("it is not taken when it is old, and asked for anew when it came to nothing", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { early, get, getText } = await import("../src/api/client");
  await early("/instances/7");
  vi.setSystemTime(Date.now() + 10_000);
  await get("/instances/7" as never);
  expect(asked).toHaveLength(2);
  const before = answers;
  answers = () => Promise.reject(new TypeError("away"));
  const lost = early("/definitions/2/diagram", "*/*");
  await expect(lost).rejects.toThrow("away");
  answers = before;
  expect(await getText("/definitions/2/diagram")).toContain("diagram");
});

test("an answer from before the sign-in sends nobody away who has signed in since", async () => {
  const { early, get } = await import("../src/api/client");
  const after = answers;
  answers = async () => new Response(JSON.stringify({ code: "UNAUTHENTICATED" }), { status: 401, headers: { "Content-Type": "application/json" } });
  await early("/overview");
  answers = after;
  expect(await get("/overview")).toEqual({ url: "/v1/overview", n: 2 });
});

test("what a page has asked for itself is not asked for ahead", async () => {
  const { early, getText } = await import("../src/api/client");
  vi.spyOn(performance, "now").mockReturnValue(100);
  await getText("/definitions/2/diagram");
  await expect(early("/definitions/2/diagram")).rejects.toThrow("already");
  expect(asked).toHaveLength(1);
});

test.each([
  ["/processes/order", "", ["/v1/me", "/v1/definitions?definition_id=order&kind=process&limit=100", "/v1/definitions/2/diagram"]],
  ["/processes/order", "?version=1", ["/v1/me"]],
  ["/instances/17", "", ["/v1/me", "/v1/instances/17/state", "/v1/instances/17", "/v1/definitions/2/diagram"]],
  ["/instances/17", "?at=0-3", ["/v1/me"]],
  ["/tasks/9", "", ["/v1/me", "/v1/tasks/9"]],
  ["/processes/%", "", ["/v1/me"]],
  ["/", "", ["/v1/me"]],
])("the address %s%s asks for what its page asks for", async (path, search, wanted) => {
  answers = async () => new Response(JSON.stringify({ auth: "none", items: [{ key: "2" }], definition: "2" }));
  const { first } = await import("../src/api/first"); // it asks for what jsdom's own address needs
  await vi.waitFor(() => expect(asked).toContain("/v1/me"));
  asked.length = 0;
  first(path, search);
  await vi.waitFor(() => expect(["/v1/me", ...asked]).toEqual(wanted)); // who looks is asked once
});

test("an address that one can't read hurts nobody", async () => {
  const { first } = await import("../src/api/first");
  expect(() => first("/processes/%E0%A4%A", "")).not.toThrow();
});
