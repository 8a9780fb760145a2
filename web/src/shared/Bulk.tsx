import { Anchor, List, NumberInput, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "./Ask";
import { Failed, Waiting } from "./states";

export type Begun = AnswerOf<"POST", "/batches">;
/** What is added to the wish: the look before, then the number that was seen. */
export interface More {
  dry_run?: boolean;
  confirm?: number;
  rate?: number;
  reason?: string;
}

interface Props {
  title: string;
  what: string;
  danger?: boolean;
  ready?: boolean;
  /** by keys: nothing is to be confirmed */
  listed?: boolean;
  ask: (more: More) => Promise<Begun>;
  close: () => void;
  children?: ReactNode;
}

/** One action for many: how many there are and which, then the batch; it is watched on the page of batches. */
export function Bulk({ title, what, danger, ready = true, listed, ask, close, children }: Props) {
  const t = useText();
  const navigate = useNavigate();
  const [rate, setRate] = useState<number | string>("");
  const seen = useQuery({ queryKey: ["batch", "preview", title, what], queryFn: () => ask({ dry_run: true }), gcTime: 0, staleTime: Infinity, retry: false, refetchOnWindowFocus: false });
  const count = seen.data?.count ?? 0;
  const go = async (reason: string) => {
    const begun = await ask({ reason, rate: Number(rate) || 0, ...(listed ? {} : { confirm: count }) });
    await navigate({ to: "/operations", search: { tab: "batches", batch: begun.id } as Record<string, string> });
  };
  return (
    <Ask title={title} what={what} danger={danger} ready={ready && count > 0} close={close} go={go}>
      {seen.error ? (
        <Failed error={seen.error} again={() => void seen.refetch()} />
      ) : !seen.data ? (
        <Waiting />
      ) : (
        <div role="status">
          <Text fw={600}>{t("bulk.count", { n: count })}</Text>
          <List size="sm">
            {(seen.data.examples ?? []).map((row) => {
              const of = row as Record<string, unknown>;
              const word = [of.process, of.business_key, of.element, of.status].filter(Boolean).join(" · ");
              return (
                <List.Item key={String(of.id)}>
                  {seen.data.of === "instances" ? (
                    <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: String(of.id) }} target="_blank" {...props} />}>{String(of.id)}</Anchor>
                  ) : (
                    String(of.id)
                  )}{" "}
                  {word}
                </List.Item>
              );
            })}
          </List>
          {count > (seen.data.examples?.length ?? 0) && <Text size="sm">{t("bulk.more", { n: count - (seen.data.examples?.length ?? 0) })}</Text>}
        </div>
      )}
      {children}
      <NumberInput label={t("bulk.rate")} value={rate} onChange={setRate} min={1} max={100000} clampBehavior="strict" allowDecimal={false} />
    </Ask>
  );
}
