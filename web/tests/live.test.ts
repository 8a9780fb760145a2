import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, test } from "vitest";
import { askAgain, covers } from "~/api/live";

/** News that come while a page asks for the first time: the answer under way may be of before them. */
test("what is asked for the first time is asked again after news", async () => {
  const client = new QueryClient();
  let now = "before";
  const answers: ((text: string) => void)[] = [];
  const seen: (string | undefined)[] = [];
  const observer = new QueryObserver<string>(client, { queryKey: ["task", "1"], queryFn: () => new Promise((r) => answers.push(r)) });
  const stop = observer.subscribe((r) => void (r.data && seen.push(r.data)));
  const early = now;
  now = "after";
  const asked = askAgain(client, ["task"]);
  answers[0]!(early);
  await expect.poll(() => answers.length).toBe(2);
  answers[1]!(now);
  await asked;
  expect(seen.at(-1)).toBe("after");
  stop();
});

/** At the first opening of a stream nothing is asked twice, but what is older than where the stream begins. */
test("what was answered later than news begin to be told stays, the rest is asked again", async () => {
  const client = new QueryClient();
  const asked: string[] = [];
  const answer = (name: string, given: unknown) => new QueryObserver(client, { queryKey: ["page", name], queryFn: () => (asked.push(name), Promise.resolve(given)) }).subscribe(() => undefined);
  const stops = [answer("new", { position: "0-9,1-4" }), answer("old", { position: "0-9,1-3" }), answer("silent", { items: [] })];
  let late: (given: unknown) => void = () => undefined;
  stops.push(new QueryObserver(client, { queryKey: ["page", "late"], queryFn: () => (asked.push("late"), new Promise((r) => (late = r))) }).subscribe(() => undefined));
  await expect.poll(() => client.isFetching()).toBe(1);
  const done = askAgain(client, ["page"], false, "0-9,1-4");
  late({ position: "1-4,0-12" });
  await done;
  expect(asked.sort()).toEqual(["late", "new", "old", "old", "silent", "silent"]);
  for (const stop of stops) stop();
});

test("a list is as new as the oldest of its pages", () => {
  expect(covers({ pages: [{ position: "0-5" }, { position: "0-7" }] }, "0-5")).toBe(true);
  expect(covers({ pages: [{ position: "0-5" }, { position: "0-7" }] }, "0-6")).toBe(false);
  expect(covers({ pages: [] }, "0-5")).toBe(false);
  expect(covers({ position: "0-1", read_to: "0-5" }, "0-5")).toBe(true);
  expect(covers({ position: null }, "0-5")).toBe(false);
  expect(covers({ position: "0-5" }, "0-5,1-0")).toBe(false);
});
