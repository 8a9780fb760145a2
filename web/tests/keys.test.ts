import { describe, expect, it } from "vitest";
import { inOrder, led } from "~/diagram/keys";

const at = (id: string, x: number, y: number) => ({ id, x, y, width: 100, height: 80 });

describe("a drawing by keys", () => {
  const order = inOrder([at("end", 500, 0), at("low", 200, 300), at("start", 0, 100), at("high", 200, 0)]);
  it("is gone through as it is read", () => expect(order).toEqual(["start", "high", "low", "end"]));
  it("stays at its ends", () => {
    expect(led("ArrowRight", order, undefined)).toBe("start");
    expect(led("ArrowLeft", order, undefined)).toBe("end");
    expect(led("ArrowDown", order, "high")).toBe("low");
    expect(led("ArrowRight", order, "end")).toBe("end");
    expect(led("ArrowUp", order, "start")).toBe("start");
    expect(led("Home", order, "low")).toBe("start");
    expect(led("End", order, "low")).toBe("end");
    expect(led("ArrowRight", order, "a flow")).toBe("start");
  });
  it("leaves other keys and empty drawings alone", () => {
    expect(led("a", order, "low")).toBeUndefined();
    expect(led("ArrowRight", [], undefined)).toBeUndefined();
  });
});
