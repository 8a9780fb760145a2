import { useEffect, useState, useSyncExternalStore } from "react";
import { query } from "~/api/client";
import { actor } from "~/api/me";
import type { Line, Shared, Status } from "~/designer/together/shared";

/** how long is waited for the shared document; without it one draws alone, and others are merged or asked about when it is saved */
const PATIENCE_MS = 30_000;
const ALONE: Status = { state: "off", why: "", waits: false, dirty: false, version: 0, rowVersion: 0 };

/** The document of a draft that is drawn together, once it is `known` that there is such a draft. `waits`: it isn't known yet whether there is a document. */
export function useTogether(id: string, known: boolean) {
  const [shared, setShared] = useState<Shared>();
  const [alone, setAlone] = useState(false);
  useEffect(() => {
    if (!known) return;
    let over = false;
    let made: Shared | undefined;
    setAlone(false);
    const patience = setTimeout(() => made?.status.version || setAlone(true), PATIENCE_MS);
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/together${query({ draft: id, name: actor() })}`;
    void import("~/designer/together/shared").then((module) => {
      if (over) return;
      made = new module.Shared(id, () => new WebSocket(address) as unknown as Line);
      setShared(made);
    }, () => setAlone(true));
    const leaving = () => made?.keep();
    window.addEventListener("pagehide", leaving);
    return () => {
      over = true;
      clearTimeout(patience);
      window.removeEventListener("pagehide", leaving);
      made?.end();
      setShared(undefined);
    };
  }, [id, known]);
  const status = useSyncExternalStore(
    (heard) => shared?.onStatus(heard) ?? (() => undefined),
    () => shared?.status ?? ALONE,
  );
  const waits = !known || (!alone && (!shared || status.state === "opening" || (status.state === "away" && !status.version)));
  const off = !known || alone || status.state === "off" || !status.version;
  return { waits, shared: off ? undefined : shared, status };
}
