import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "./client";
import type { GetPath, Page, ParamsOf, RowOf } from "./types";

/** Addresses that give a list by pages. */
export type ListPath = { [A in GetPath]: [RowOf<A>] extends [never] ? never : A }[GetPath];

/** All pages of a list, one after the other as they are scrolled to. */
export const useList = <A extends ListPath>(path: A, params: Record<string, string | string[] | undefined>, refetchInterval?: number) => useRows<RowOf<A>>(path, params, refetchInterval);

/** The same where the address looks like that of one row (`/incidents/groups`, `/batches/7/items`), so that it can't tell of what kind its rows are. */
export function useRows<T>(path: string, params: Record<string, string | string[] | undefined>, refetchInterval?: number) {
  const q = useInfiniteQuery({
    queryKey: [path, "list", params],
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => (await get(path as GetPath, { limit: 100, ...params, cursor: pageParam || undefined } as unknown as ParamsOf<GetPath>, signal)) as unknown as Page<T>,
    getNextPageParam: (last) => last.cursor ?? undefined,
    refetchInterval,
  });
  const rows = useMemo(() => q.data?.pages.flatMap((p) => p.items) ?? [], [q.data]);
  return { ...q, rows, more: () => void (!q.isFetchingNextPage && q.hasNextPage && q.fetchNextPage()) };
}
