import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, test } from "vitest";
import { askAgain } from "~/api/live";

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
