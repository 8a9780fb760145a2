import { inWords } from "./time";

/** A number of bytes as people read it. */
export function bytes(n: number): string {
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  let left = n;
  while (left >= 1000 && at < units.length - 1) {
    left /= 1000;
    at++;
  }
  return `${at && left < 10 ? inWords(left, 1) : Math.round(left)} ${units[at]}`;
}
