import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "./client";
import type { GetPath, Page, ParamsOf, RowOf } from "./types";

/** Addresses that give a list by pages. */
export type ListPath = { [A in GetPath]: [RowOf<A>] extends [never] ? never : A }[GetPath];

/** All pages of a list, one after the other as they are scrolled to. */
export function useList<A extends ListPath>(path: A, params: Record<string, string | string[] | undefined>, refetchInterval?: number) {
  const q = useInfiniteQuery({
    queryKey: [path, "list", params],
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => (await get(path, { limit: 100, ...params, cursor: pageParam || undefined } as unknown as ParamsOf<A>, signal)) as unknown as Page<RowOf<A>>,
    getNextPageParam: (last) => last.cursor ?? undefined,
    refetchInterval,
  });
  const rows = useMemo(() => q.data?.pages.flatMap((p) => p.items) ?? [], [q.data]);
  return { ...q, rows, more: () => void (!q.isFetchingNextPage && q.hasNextPage && q.fetchNextPage()) };
}
