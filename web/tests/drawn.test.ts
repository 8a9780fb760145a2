import { expect, test } from "vitest";
import { drawn } from "~/diagram/drawn";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" viewBox="0 0 200 100"><g class="djs-element djs-shape fl-done" data-element-id="a"><g class="djs-visual"><rect/></g></g><g class="djs-element djs-connection fl-taken" data-element-id="f"><g class="djs-visual"><path/></g></g></svg>`;
const COLOURS = { ground: "#fff", ok: "#0a0", bad: "#a00", wait: "#aa0" };
const read = (text: string) => new DOMParser().parseFromString(text, "image/svg+xml");

test("a file has the state of each element, its badges and the page's colours", () => {
  const file = read(
    drawn(
      SVG,
      [
        { id: "a", name: "Check <it>", marks: ["fl-done"], badges: [{ text: "! 2", colour: "#b42318" }], box: { x: 10, y: 20, width: 100, height: 80 } },
        { id: "f", name: "f", marks: ["fl-taken"], badges: [{ text: "nowhere", colour: "#000" }] },
        { id: "elsewhere", name: "on another plane", marks: ["fl-active"], badges: [{ text: "1", colour: "#000" }], box: { x: 0, y: 0, width: 1, height: 1 } },
      ],
      COLOURS,
    ),
  );
  const a = file.querySelector('[data-element-id="a"]')!;
  expect([a.getAttribute("data-state"), a.querySelector("title")!.textContent]).toEqual(["done", "Check <it> · done · ! 2"]);
  expect(file.querySelector('[data-element-id="f"]')!.getAttribute("data-state")).toBe("taken");
  expect([...file.querySelectorAll("[data-badge-of]")].map((g) => g.textContent)).toEqual(["! 2"]);
  expect(file.querySelector("style")!.textContent).toContain("stroke: #0a0 !important");
  expect(file.documentElement.getAttribute("viewBox")).toBe("-12 -12 224 124");
});
