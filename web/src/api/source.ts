import { queryOptions, useQuery } from "@tanstack/react-query";
import { get, getText } from "./client";

/** A definition's resource as it was deployed; it never changes. */
export const useSource = (key: string | undefined) => useQuery({ queryKey: ["source", key], enabled: Boolean(key), staleTime: Number.POSITIVE_INFINITY, queryFn: ({ signal }) => getText(`/definitions/${key}/source`, signal) });

/** The process as BPMN with a diagram: its own, or the one that the server laid out. */
export const diagram = (key: string | undefined) => queryOptions({ queryKey: ["diagram", key], staleTime: Number.POSITIVE_INFINITY, queryFn: ({ signal }) => getText(`/definitions/${key}/diagram`, signal) });
export const useDiagram = (key: string | undefined) => useQuery({ ...diagram(key), enabled: Boolean(key) });

/** Versions of a process, newest first. */
export const versions = (id: string) =>
  queryOptions({ queryKey: ["/definitions", "versions", id], queryFn: ({ signal }) => get("/definitions", { definition_id: id, kind: "process", limit: 100 }, signal) });
