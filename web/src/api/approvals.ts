import { useQuery } from "@tanstack/react-query";
import { get } from "./client";
import type { Approval } from "./types";

const LOOK_MS = 10_000;

/** All that wait for a second person, or did, until they are forgotten: 1,000 may be open, so it is one question or two. */
export const useApprovals = (enabled: boolean) =>
  useQuery({
    queryKey: ["/approvals", "list"],
    enabled,
    refetchInterval: LOOK_MS,
    queryFn: async ({ signal }) => {
      const rows: Approval[] = [];
      let cursor: string | undefined;
      do {
        const page = await get("/approvals", { limit: 1000, cursor }, signal);
        rows.push(...page.items);
        cursor = page.cursor ?? undefined;
      } while (cursor);
      return rows;
    },
  });
