import { expect, test } from "vitest";
import { get, send } from "~/api/client";
import type { InstanceRow, TaskMove } from "~/api/types";

/** Each `@ts-expect-error` fails the check when the types of the API no longer tell the wrong from the right. */
export function wrong(row: InstanceRow) {
  row.business_key satisfies string | null;
  // @ts-expect-error no such field
  row.businessKey;
  // @ts-expect-error no such address
  void get("/instanzes");
  // @ts-expect-error no such parameter
  void get("/tasks", { colour: "red" });
  // @ts-expect-error no such field in the body
  void send("POST", "/instances", { definitio: "order" });
  // @ts-expect-error it can't be deleted
  void send("DELETE", "/instances");
  // @ts-expect-error no such move
  "juggle" satisfies TaskMove;
}

test("types are checked by the compiler alone", () => expect(typeof wrong).toBe("function"));
