import { useQuery } from "@tanstack/react-query";
import { getText } from "./client";

/** A definition's resource as it was deployed; it never changes. */
export const useSource = (key: string | undefined) => useQuery({ queryKey: ["source", key], enabled: Boolean(key), staleTime: Number.POSITIVE_INFINITY, queryFn: ({ signal }) => getText(`/definitions/${key}/source`, signal) });

/** The process as BPMN with a diagram: its own, or the one that the server laid out. */
export const useDiagram = (key: string | undefined) => useQuery({ queryKey: ["diagram", key], enabled: Boolean(key), staleTime: Number.POSITIVE_INFINITY, queryFn: ({ signal }) => getText(`/definitions/${key}/diagram`, signal) });
