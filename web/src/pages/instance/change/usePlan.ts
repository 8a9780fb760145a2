import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { send } from "~/api/client";
import type { Plan } from "~/api/types";

/** The operations that change what runs, as `POST /v1/instances/{id}/...` has them. */
export type Operation = "modify" | "migrate" | "rollback" | "rerun" | "cancel";

/** What the operation would do, asked anew when its wish changes; `apply` does exactly that, or is refused. */
export function usePlan(instance: string, operation: Operation, wish: Record<string, unknown> | undefined) {
  const path = `/instances/${instance}/${operation}` as `/instances/${string}/modify`;
  const asked = useQuery({
    queryKey: ["instance", instance, "plan", operation, wish],
    queryFn: async () => (await send("POST", path, wish, { dry_run: true })) as unknown as Plan,
    enabled: wish !== undefined,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    refetchOnWindowFocus: false,
  });
  const plan = wish === undefined ? undefined : asked.data;
  return useMemo(
    () => ({
      plan,
      error: wish === undefined ? null : asked.error,
      waits: wish !== undefined && asked.isFetching,
      again: () => void asked.refetch(),
      apply: (reason: string) => send("POST", path, { ...wish, ...(reason ? { reason } : {}) }, { plan: plan?.plan }),
    }),
    [asked, path, plan, wish],
  );
}
