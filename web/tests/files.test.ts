import { describe, expect, it } from "vitest";
import type { HistoryEvent } from "~/api/types";
import { attachedAt } from "~/pages/instance/files";

const event = (id: string, type: string, files?: string[]) => ({ id, type, data: files ? { files: files.map((name) => ({ name })) } : {} }) as unknown as HistoryEvent;

describe("files of an instance in the past", () => {
  const events = [event("0-1", "workflow.started"), event("0-2", "workflow.files_changed", ["a"]), event("0-3", "task.created"), event("0-4", "workflow.files_changed", ["a", "b"]), event("0-5", "workflow.files_changed", ["b"])];
  it("are those of the last change before", () => {
    expect(attachedAt(events, "0-1")).toEqual([]);
    expect(attachedAt(events, "0-3")).toEqual(["a"]);
    expect(attachedAt(events, "0-4")).toEqual(["a", "b"]);
    expect(attachedAt(events, "0-5")).toEqual(["b"]);
  });
});
