import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, type Page } from "./client";

/** All pages of a list, one after the other as they are scrolled to. */
export function useList<T>(path: string, params: Record<string, string | undefined>, refetchInterval?: number) {
  const q = useInfiniteQuery({
    queryKey: [path, "list", params],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => get<Page<T>>(path, { limit: 100, ...params, cursor: pageParam || undefined }, signal),
    getNextPageParam: (last) => last.cursor ?? undefined,
    refetchInterval,
  });
  const rows = useMemo(() => q.data?.pages.flatMap((p) => p.items) ?? [], [q.data]);
  return { ...q, rows, more: () => void (!q.isFetchingNextPage && q.hasNextPage && q.fetchNextPage()) };
}
