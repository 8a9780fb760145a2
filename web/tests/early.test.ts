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

/** What several reads in one are answered. */
const several = (reads: object[], position: string | null = null) => async () => new Response(JSON.stringify({ reads, position }));

test("several answers that were asked for at once are taken one by one, each once", async () => {
  const { gather, get, getText } = await import("../src/api/client");
  const before = answers;
  answers = several([
    { get: "/tasks/5", status: 200, body: { id: "5" } },
    { get: "/definitions?kind=form&definition_id=f", status: 200, body: { items: [] } },
    { get: "/definitions/9/source", status: 200, body: "{}" },
    { get: "/instances/{0.instance}", status: 404, body: { code: "NOT_FOUND" } },
    { get: "/drafts/1", status: 404, body: { code: "NOT_FOUND", detail: "no draft 1" } },
  ]);
  const asks = ["/tasks/5", "/definitions?kind=form&definition_id=f", "/definitions/9/source", "/instances/{0.instance}", "/drafts/1"];
  const all = gather(asks);
  void gather(asks); // it is on its way
  expect(await get("/tasks/5" as never)).toEqual({ id: "5" });
  await all;
  expect(await get("/definitions", { definition_id: "f", kind: "form" } as never)).toEqual({ items: [] });
  expect(await getText("/definitions/9/source")).toBe("{}");
  await expect(get("/drafts/1" as never)).rejects.toThrow("no draft 1");
  expect(asked).toHaveLength(1);
  answers = before;
  await get("/tasks/5" as never);
  await get("/instances/{0.instance}" as never);
  expect(asked.slice(1)).toEqual(["/v1/tasks/5", "/v1/instances/{0.instance}"]);
});

test.each([
  ["0-5,1-2", 1],
  ["0-4,1-9", 2],
  [null, 2],
])("what was gathered up to %s is taken where it has one's own write", async (position, times) => {
  const { expect: waits, gather, get } = await import("../src/api/client");
  answers = several([{ get: "/tasks/5", status: 200, body: {} }], position);
  await gather(["/tasks/5", "/tasks/6"]).catch(() => undefined);
  waits("0-5");
  answers = async () => new Response("{}");
  await get("/tasks/5" as never);
  expect(asked).toHaveLength(times);
  expect(asked[1] ?? "/v1/tasks/5?wait_for=0-5").toBe("/v1/tasks/5?wait_for=0-5");
});

test("what one knows of is waited for at once", async () => {
  const { expect: waits, gather } = await import("../src/api/client");
  waits("0-5");
  answers = several([]);
  await gather(["/tasks"]);
  expect(asked).toEqual(["/v1/gathered?get=%2Ftasks&wait_for=0-5"]);
});

test.each([401, 404, 503])("where several can't be had at once (%i), each is asked for by itself", async (status) => {
  const { gather, get } = await import("../src/api/client");
  const before = answers;
  answers = async () => new Response("{}", { status });
  await expect(gather(["/tasks/5", "/tasks/6"])).rejects.toThrow();
  answers = before;
  expect(await get("/tasks/6" as never)).toEqual({ url: "/v1/tasks/6", n: 2 });
});

test("what was asked for ahead is for nobody else, also where it comes after they have gone", async () => {
  const { forget, gather, get } = await import("../src/api/client");
  const before = answers;
  const reads = several([
    { get: "/tasks/5", status: 200, body: { of: "one" } },
    { get: "/instances/7/variables", status: 200, body: { of: "one" } },
  ]);
  const asks = ["/tasks/5", "/instances/{0.instance}/variables"];
  let come = () => undefined as void;
  answers = () => new Promise((done) => (come = () => done(reads())));
  const all = gather(asks);
  forget();
  come();
  await all;
  answers = before;
  expect(await get("/tasks/5" as never)).toEqual({ url: "/v1/tasks/5", n: 2 });
  expect(await get("/instances/7/variables" as never)).toEqual({ url: "/v1/instances/7/variables", n: 3 });
  answers = reads;
  await gather(asks);
  forget();
  answers = before;
  expect(await get("/tasks/5" as never)).toEqual({ url: "/v1/tasks/5", n: 5 });
});

const GATHERED: Record<string, string[]> = {
  "/processes/order": ["/definitions?definition_id=order&kind=process&limit=100", "/tasks?definition={0.items.0.key}&open=true&limit=500", "/incidents?definition={0.items.0.key}&status=open&limit=500", "/definitions/{0.items.0.key}/versions"],
  "/processes/order?version=1": [
    "/definitions?definition_id=order&kind=process&limit=100", "/definitions?definition_id=order&kind=process&version=1&limit=1", "/tasks?definition={1.items.0.key}&open=true&limit=500",
    "/incidents?definition={1.items.0.key}&status=open&limit=500", "/definitions/{1.items.0.key}/versions",
  ], // prettier-ignore
  "/instances/17": ["/instances/17", "/instances/17/state", "/instances/17/events?limit=1000", "/predictions?process={0.process}", "/instances/{0.id}/prediction"],
  "/instances/17?at=0-3": ["/instances/17", "/instances/17/state?at=0-3", "/instances/17/events?limit=1000"],
  "/tasks/9": ["/tasks/9", "/tasks/9/events?limit=1000", "/tasks/9/files", "/instances/{0.instance}/variables", "/definitions?definition_id={0.form.formId}&kind=form&limit=100", "/definitions/{4.items.0.key}/source"],
  "/designer/3": ["/drafts/3", "/drafts/3/versions", "/connectors?templates=true"],
};

test.each([...Object.entries(GATHERED), ["/processes/%", []], ["/tasks", []]] as [string, string[]][])("the address %s asks for what its page asks for", async (address, wanted) => {
  const drawn = { items: [{ key: "2" }], definition: "2" };
  answers = async (url) => new Response(JSON.stringify(url.startsWith("/v1/gathered") ? { reads: wanted.map((get) => ({ get, status: 200, body: drawn })) } : { auth: "none", rights: [] }));
  const { first } = await import("../src/api/first"); // it asks for what jsdom's own address needs
  await vi.waitFor(() => expect(asked).toContain("/v1/me"));
  const { whoAmIAtStart } = await import("../src/api/session");
  await whoAmIAtStart();
  asked.length = 0;
  const [path = "", search = ""] = address.split("?");
  first(path, search && `?${search}`);
  const drawing = /designer|%|tasks$/.test(path) ? [] : ["/v1/definitions/2/diagram"];
  await new Promise((r) => setTimeout(r, 20));
  expect(asked.slice(0, 1).flatMap((url) => new URL(url, "http://x").searchParams.getAll("get"))).toEqual(wanted);
  expect(asked.slice(1)).toEqual(drawing); // who looks is asked once
});

test("home asks its one question", async () => {
  const { first } = await import("../src/api/first");
  await vi.waitFor(() => expect(asked).toContain("/v1/me"));
  asked.length = 0;
  first("/", "");
  expect(asked).toEqual(["/v1/overview"]);
});

test("of an instance nothing is asked that who looks may not see", async () => {
  answers = async () => new Response(JSON.stringify({ auth: "local", rights: ["instances:read"], reads: [] }));
  const { first } = await import("../src/api/first");
  first("/instances/17", "");
  await vi.waitFor(() => expect(asked.filter((url) => url.includes("gathered"))).toHaveLength(1));
  expect(asked.join()).not.toContain("predict");
});

test("an address that one can't read hurts nobody", async () => {
  const { first } = await import("../src/api/first");
  expect(() => first("/processes/%E0%A4%A", "")).not.toThrow();
});
