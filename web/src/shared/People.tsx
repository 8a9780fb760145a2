import { Autocomplete, type AutocompleteProps } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";

/** A person's name, with those of the directory to choose from; another name may be typed. */
export function People(props: AutocompleteProps) {
  const known = useQuery({ queryKey: ["directory", "users"], staleTime: 60_000, queryFn: ({ signal }) => get(`/directory/${"users" as string}`, { limit: 1000 }, signal) });
  const names = [...new Set((known.data?.items ?? []).map((e) => e.name.replace(/^user:/, "")))];
  return <Autocomplete data={names} limit={50} maxLength={255} {...props} />;
}
