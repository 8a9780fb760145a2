import { EventSource as Fetched } from "eventsource";
import { proof } from "./who";

/** An `EventSource` that carries the token of who looks. */
export class Tokened extends Fetched {
  constructor(url: string) {
    super(new URL(url, location.href), { fetch: (to, init) => fetch(to, { ...init, credentials: "omit", headers: { ...init.headers, ...proof() } }) });
  }
}
