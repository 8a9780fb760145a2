import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, get, send } from "~/api/client";
import type { Draft } from "~/api/types";
import type { Editor } from "~/designer/editor";
import * as kept from "./kept";
import { useTogether } from "./useTogether";

/** Somebody else has saved: which version, who and when. */
export interface Conflict {
  version: number;
  row_version?: number;
  by: string;
  at: string;
}

const SETTLE_MS = 300;
/** a version that no draft has */
const OTHER = 999_999_999;
/** how often is looked whether somebody else has saved */
const LOOK_MS = 20_000;

/** A draft as it is drawn: what was opened, what it is now, whether that is saved, and who else has saved meanwhile. */
export function useDraft(id: string) {
  const client = useQueryClient();
  const q = useQuery({ queryKey: ["draft", id], queryFn: ({ signal }) => get(`/drafts/${id}`, {}, signal), staleTime: Number.POSITIVE_INFINITY, gcTime: 0, refetchOnWindowFocus: false });
  const editor = useRef<Editor>(undefined);
  /** `text` is opened by an editor; each opening has a number */
  const [opened, setOpened] = useState<{ n: number; text: string; restored?: number; adopt?: boolean }>();
  const [text, setText] = useState("");
  const [base, setBase] = useState(0);
  /** what the server is told that was seen: of the draft, not of its text alone */
  const tag = useRef(0);
  const [dirty, setDirty] = useState(false);
  const [unkept, setUnkept] = useState(false);
  const [saving, setSaving] = useState(false);
  const [error, setError] = useState<unknown>();
  const [conflict, setConflict] = useState<Conflict>();
  const baseNow = useRef(0);
  baseNow.current = base;
  const changes = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const first = q.data;
  const together = useTogether(id, first !== undefined);
  const { shared, status } = together;
  const live = useRef(shared);
  live.current = shared;
  /** what was brought into the shared document last, of a text that is edited as one */
  const brought = useRef("");

  /** `adopt`: it takes the place of what is drawn together, instead of that being opened. */
  const open = useCallback((content: string, version: number, unsaved: boolean, restored?: number, adopt = false) => {
    editor.current = undefined;
    const opens = live.current && !adopt ? live.current.text() : content;
    brought.current = opens;
    setOpened((o) => ({ n: (o?.n ?? 0) + 1, text: opens, restored, adopt }));
    setText(opens);
    setBase(version);
    setDirty(unsaved);
    setConflict(undefined);
  }, []);

  useEffect(() => {
    if (!first || opened || together.waits) return;
    tag.current = first.row_version;
    const local = kept.read(id);
    if (live.current) {
      const begin = (restored?: number) => open("", live.current?.status.version ?? first.version, false, restored);
      if (!local || local.text === first.content) return begin();
      // drawn alone in this browser, and not saved: what differs from the version that it was drawn on
      get(`/drafts/${id}`, { version: local.base })
        .then((base) => {
          live.current?.bring((base as Draft).content, local.text);
          kept.forget(id);
          begin(local.at);
        })
        .catch(() => begin());
      return;
    }
    if (local && local.text !== first.content) open(local.text, local.base, true, local.at);
    else open(first.content, first.version, false);
  }, [first, id, opened, open, together.waits]);

  // what others save is what one has seen, since all of it is drawn here
  useEffect(() => {
    if (!shared) return;
    tag.current = status.rowVersion;
    const queryKey = ["draft versions", id];
    const asked = client.getQueryCache().find({ queryKey, fetchStatus: "fetching" })?.fetch();
    void Promise.resolve(asked)
      .catch(() => undefined) // it is told where the list is
      .then(() => {
        const newest = client.getQueryData<{ items: { version: number }[] }>(queryKey)?.items[0];
        if (newest?.version !== status.version) void client.invalidateQueries({ queryKey });
      });
  }, [shared, status.version, status.rowVersion, client, id]);

  /** what is drawn, now; it is kept in this browser at once */
  const taken = useCallback(async () => {
    clearTimeout(timer.current);
    if (!editor.current) return undefined;
    const now = await editor.current.text();
    setText(now);
    const together = live.current;
    if (!together) setUnkept(!kept.keep(id, baseNow.current, now));
    else if (!editor.current?.shared && now !== brought.current)
      try {
        together.bring(brought.current, now);
        brought.current = now;
      } catch {
        // a text in the middle of being written is no drawing: it is brought when it is one
      }
    return now;
  }, [id]);

  const changed = useCallback(() => {
    changes.current += 1;
    setDirty(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void taken(), SETTLE_MS);
  }, [taken]);

  useEffect(() => {
    const now = () => void (timer.current && taken());
    window.addEventListener("pagehide", now);
    return () => {
      window.removeEventListener("pagehide", now);
      now();
    };
  }, [taken]);

  /** Saves what is drawn, on the version that was read or on `on`. True: it is on the server. */
  const save = useCallback(
    async (comment = "", onTop = false): Promise<Draft | undefined> => {
      setSaving(true);
      setError(undefined);
      const seen = changes.current;
      try {
        const now = (await taken()) ?? text;
        let saved: Draft;
        if (live.current && (editor.current?.shared || brought.current === now)) {
          await live.current.save(comment);
          saved = (await get(`/drafts/${id}`)) as Draft;
          setDirty(false);
          kept.forget(id);
          client.setQueryData(["draft", id], saved);
          void client.invalidateQueries({ queryKey: ["/drafts"] });
          void client.invalidateQueries({ queryKey: ["draft versions", id] });
          return saved;
        }
        try {
          // drawn on an older version (it was kept in this browser meanwhile): nothing that was seen fits
          const stale = !onTop && baseNow.current !== (client.getQueryData<Draft>(["draft", id])?.newest ?? baseNow.current);
          saved = (await send("PUT", `/drafts/${id}`, { content: now, comment }, undefined, { "If-Match": `"${stale ? OTHER : tag.current}"` })) as Draft;
        } catch (e) {
          if (!(e instanceof ApiError && e.problem.code === "STALE")) throw e;
          const there = (await get(`/drafts/${id}`)) as Draft;
          // mine already (the connection broke before the answer came), or only the name is another
          if (there.content === now) saved = there;
          else if (onTop || there.version === baseNow.current) saved = (await send("PUT", `/drafts/${id}`, { content: now, comment }, undefined, { "If-Match": `"${there.row_version}"` })) as Draft;
          else throw e;
        }
        tag.current = saved.row_version;
        setBase(saved.version);
        baseNow.current = saved.version;
        setConflict(undefined);
        if (seen === changes.current) {
          setDirty(false);
          kept.forget(id);
        } else kept.keep(id, saved.version, now);
        client.setQueryData(["draft", id], saved);
        void client.invalidateQueries({ queryKey: ["/drafts"] });
        void client.invalidateQueries({ queryKey: ["draft versions", id] });
        return saved;
      } catch (e) {
        if (e instanceof ApiError && e.problem.code === "STALE") setConflict(e.problem as unknown as Conflict);
        else setError(e);
        return undefined;
      } finally {
        setSaving(false);
      }
    },
    [client, id, taken, text],
  );

  const versions = useQuery({ queryKey: ["draft versions", id], queryFn: ({ signal }) => get(`/drafts/${id}/versions`, {}, signal), refetchInterval: LOOK_MS, enabled: Boolean(first) });
  const newest = versions.data?.items[0];
  const newer: Conflict | undefined = newest && base && newest.version > base && !saving ? { version: newest.version, by: newest.saved_by, at: newest.saved_at } : undefined;

  /** Another version's text into the editor; unsaved, unless it is what is on the server. */
  const load = useCallback(
    async (version: number) => {
      const found = (await get(`/drafts/${id}`, { version })) as Draft;
      kept.forget(id);
      tag.current = found.row_version;
      client.setQueryData(["draft", id], { ...found, version: found.newest });
      open(found.content, found.newest, found.version !== found.newest, undefined, true);
      if (!live.current && found.version !== found.newest) kept.keep(id, found.newest, found.content);
    },
    [client, id, open],
  );

  if (shared)
    return {
      q, editor, opened, open, text, base: status.version, dirty: status.dirty, unkept: false, saving, error, conflict: undefined, newer: undefined, versions, changed, save, load, setError, setConflict,
      shared, away: status.state === "away",
    };
  return { q, editor, opened, open, text, base, dirty, unkept, saving, error, conflict: conflict ?? undefined, newer, versions, changed, save, load, setError, setConflict, shared: undefined, away: false };
}
