import { useQuery } from "@tanstack/react-query";
import { get } from "./client";

/** What doesn't hold of all that runs; asked again every few seconds. */
export function useFindings(enabled: boolean) {
  return useQuery({ queryKey: ["watchdog"], queryFn: ({ signal }) => get("/watchdog", {}, signal), refetchInterval: 5000, enabled });
}
