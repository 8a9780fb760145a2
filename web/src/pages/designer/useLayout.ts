import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { send } from "~/api/client";
import type { Finding } from "~/api/types";
import { bare, fileName } from "./blank";
import type { useDraft } from "./useDraft";

/** A process without a drawing gets one from the server when it is opened; one in another language when one asks for it. */
export function useLayout(d: ReturnType<typeof useDraft>, asText: boolean) {
  const draft = d.q.data;
  const kind = draft?.kind ?? "process";
  const text = d.opened?.text ?? "";
  const wanted = !asText && bare(kind, text);
  const [laid, setLaid] = useState<string>();
  const [refused, setRefused] = useState<Finding[]>();
  const { open, base } = d;
  const q = useQuery({
    queryKey: ["laid out", draft?.id, text],
    enabled: wanted,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    queryFn: () => send("POST", "/models/convert", { name: fileName(draft!.name, kind, text), content: text }),
  });
  const take = useCallback(
    (content: string) => {
      setLaid(content);
      open(content, base, true);
    },
    [open, base],
  );
  const drawn = wanted ? q.data?.content : undefined;
  useEffect(() => {
    if (drawn) take(drawn);
  }, [drawn, take]);
  /** Steps, JSON or BPML become a drawing. */
  const draw = useCallback(async () => {
    setRefused(undefined);
    const found = await send("POST", "/models/convert", { name: fileName(draft!.name, kind, text), content: text });
    if (found.content) take(found.content);
    else setRefused(found.findings as Finding[]);
  }, [draft, kind, text, take]);
  return {
    /** the server is drawing */
    waits: wanted && (q.isPending || Boolean(drawn)),
    /** it could not */
    failed: wanted && (q.isError || q.data?.content === null),
    /** what is opened was laid out just now */
    laid: laid !== undefined && laid === text,
    draw,
    refused,
  };
}
