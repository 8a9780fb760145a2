import { expect, test } from "vitest";
import { after, type Person } from "~/api/presence";

const person = (id: number, more: Partial<Person> = {}): Person => ({ id, name: `n${id}`, colour: id, x: null, y: null, selected: [], ...more });

test("who is here, moves and goes", () => {
  const first = after([], { type: "others", others: [person(3)] });
  const two = after(first, { type: "here", ...person(1) });
  expect(two.map((p) => p.id)).toEqual([1, 3]);
  const moved = after(two, { type: "here", ...person(3, { x: 5, y: 6, selected: ["a"] }) });
  expect(moved.find((p) => p.id === 3)).toEqual(person(3, { x: 5, y: 6, selected: ["a"] }));
  expect(after(moved, { type: "gone", id: 3 })).toEqual([person(1)]);
  expect(after(moved, { type: "saved", version: 2 })).toBe(moved);
});
