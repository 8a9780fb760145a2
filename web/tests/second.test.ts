// @vitest-environment jsdom
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pageOf, rowsOf } from "../src/pages/approvals/rows";

/** What waits for a second person, as the client sends it. */
interface Sent {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
  signal?: AbortSignal | null;
}
let asked: Sent[];
let status: string;

beforeEach(() => {
  vi.resetModules();
  localStorage.clear();
  localStorage.setItem("flowledger.actor", "ann");
  asked = [];
  status = "waiting";
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const sent = { method: init.method ?? "GET", url, headers: init.headers as Record<string, string>, body: init.body as string | undefined, signal: init.signal };
    asked.push(sent);
    const json = (body: unknown, code = 200) => Promise.resolve(new Response(JSON.stringify(body), { status: code, headers: { "Content-Type": "application/json" } }));
    if (url.startsWith("/v1/approvals/")) return status === "gone" ? json({ code: "NOT_FOUND" }, 404) : json({ status });
    if (sent.headers["X-Approval"]) return json({ id: "7", position: "0-9" });
    return json({ code: "APPROVAL_NEEDED", detail: "d", approval: `a${asked.length}` }, 403);
  });
});
afterEach(() => vi.unstubAllGlobals());

const cancel = async () => {
  const { send } = await import("../src/api/client");
  return send("POST", "/instances/7/cancel" as never, { reason: "ü" } as never);
};

test("the same once more asks nobody again while it waits, and is what was approved afterwards", async () => {
  await expect(cancel()).rejects.toMatchObject({ problem: { code: "APPROVAL_NEEDED", approval: "a1" } });
  expect(asked[0]!.headers["X-Reason"]).toBe("%C3%BC");
  await expect(cancel()).rejects.toMatchObject({ problem: { approval: "a1" } });
  expect(asked.map((a) => a.url)).toEqual(["/v1/instances/7/cancel", "/v1/approvals/a1"]);
  status = "approved";
  await expect(cancel()).resolves.toMatchObject({ id: "7" });
  const last = asked.at(-1)!;
  expect([last.headers["X-Approval"], last.body, last.url]).toEqual(["a1", asked[0]!.body, asked[0]!.url]);
  const { kept } = await import("../src/api/second");
  expect(kept()).toEqual([]);
});

test("asked again it goes with what one has seen now, and can be called off", async () => {
  const { send } = await import("../src/api/client");
  const store = (version: string, signal?: AbortSignal) => send("PUT", "/drafts/7" as never, {} as never, undefined, { "If-Match": version }, signal);
  await expect(store("1")).rejects.toBeDefined();
  status = "approved";
  const off = new AbortController();
  await store("2", off.signal);
  expect(asked.at(-1)).toMatchObject({ headers: { "If-Match": "2", "X-Approval": "a1" }, signal: off.signal });
  expect(asked.map((a) => a.signal)).toEqual([undefined, off.signal, off.signal]);
});

test.each(["refused", "expired", "gone"])("what is %s is asked for anew", async (found) => {
  await expect(cancel()).rejects.toBeDefined();
  status = found;
  await expect(cancel()).rejects.toMatchObject({ problem: { approval: "a3" } });
});

test("a repeat after a lost answer has the same id", async () => {
  await expect(cancel()).rejects.toBeDefined();
  const { kept } = await import("../src/api/second");
  const key = kept()[0]!.key;
  status = "used";
  await cancel();
  expect(asked.at(-1)!.headers["Idempotency-Key"]).toBe(key);
});

test("other words, and other people, have nothing of it", async () => {
  const { keep, kept, keptOf, KEPT_MAX } = await import("../src/api/second");
  const wish = { method: "PUT", url: "/v1/retention/all?x=1", body: "{}" };
  keep(wish, "one");
  expect(keptOf(wish)?.approval).toBe("one");
  for (const other of [{ ...wish, body: "{ }" }, { ...wish, url: "/v1/retention/all" }, { ...wish, method: "POST" }]) expect(keptOf(other)).toBeUndefined();
  keep({ method: "POST", url: "/v1/session", body: '{"password":"p"}' }, "two");
  keep({ method: "PUT", url: "/v1/me/password", body: '{"old":"o","new":"password"}' }, "three");
  expect(localStorage.getItem("flowledger.second")).not.toContain("password");
  for (let n = 0; n < KEPT_MAX; n++) keep({ ...wish, url: `/v1/x/${n}` }, `n${n}`);
  expect(kept()).toHaveLength(KEPT_MAX);
  expect(keptOf(wish)).toBeUndefined();
  const who = await import("../src/api/who");
  who.setActor("bob");
  expect(kept()).toEqual([]);
});

test("the digest is the server's: method, path, query, body", async () => {
  const { digestOf } = await import("../src/api/second");
  vi.stubGlobal("crypto", (await import("node:crypto")).webcrypto);
  const server = createHash("sha256").update('PUT\n/v1/limits/ü\ntarget=a%20b?c\n{"a":1}').digest("hex");
  expect(await digestOf({ method: "PUT", url: "/v1/limits/%C3%BC?target=a%20b?c", body: '{"a":1}' })).toBe(server);
  const none = createHash("sha256").update("DELETE\n/v1/x\n\n").digest("hex");
  expect(await digestOf({ method: "DELETE", url: "/v1/x" })).toBe(none);
});

test("a reason that no header can have is left out, a long one is cut", async () => {
  const { reasonOf } = await import("../src/api/second");
  expect(reasonOf(undefined)).toEqual({});
  expect(reasonOf("[")).toEqual({});
  expect(reasonOf('{"reason":"\\ud800"}')).toEqual({});
  expect(decodeURIComponent(reasonOf(JSON.stringify({ reason: "😀".repeat(500) }))["X-Reason"]!)).toBe("😀".repeat(400));
});

test("whose they are and where they lead", () => {
  const row = (id: string, by: string, of: string, at: string) => ({ id, by, status: of, asked_at: at }) as never;
  const rows = [row("1", "ann", "waiting", "2026-01-01"), row("2", "bob", "waiting", "2026-01-02"), row("3", "bob", "used", "2026-01-03")];
  expect(rowsOf(rows, "decide", "ann").map((a) => a.id)).toEqual(["2"]);
  expect(rowsOf(rows, "mine", "ann").map((a) => a.id)).toEqual(["1"]);
  expect(rowsOf(rows, "all", "ann").map((a) => a.id)).toEqual(["3", "2", "1"]);
  expect(pageOf("/v1/instances/17/cancel")).toBe("/instances/17");
  expect(pageOf("/v1/definitions/order/rollout")).toBe("/processes/order");
  for (const none of ["/v1/definitions/17/rollout", "/v1/retention/all", "/v1/instances", "/v1/instances/..%2f/x"]) expect(pageOf(none)).toBeUndefined();
});

test("every change goes by the one way that knows of second people", () => {
  const source = join(import.meta.dirname, "..", "src");
  const found = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((f) => /\.tsx?$/.test(f))
    .filter((f) => /\bmethod: "(POST|PUT|PATCH|DELETE)"/.test(readFileSync(join(source, f), "utf8")));
  expect(found).toEqual(["api/client.ts"]); // a file's upload: it can't be named by the setting
});
