import { ApiError } from "./client";
import type { Health } from "./types";

/** The health answer is told in its body, also when the server is not ready (503). */
export async function health(signal: AbortSignal): Promise<Health> {
  const response = await fetch("/health/ready", { signal });
  const text = await response.text();
  try {
    return JSON.parse(text) as Health;
  } catch {
    throw new ApiError(response.status, { status: response.status, code: String(response.status), detail: text.slice(0, 300) });
  }
}

export const looks = { ready: { color: "teal", icon: "check" }, degraded: { color: "yellow", icon: "warn" }, "not ready": { color: "red", icon: "warn" } } as const;
export const lookOf = (status: string) => looks[status as keyof typeof looks] ?? looks["not ready"];
