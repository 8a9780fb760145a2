import { Alert, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";
import { useText } from "~/i18n";

const LOOK_MS = 700;

/** What came of a test: looked for until the sender has reported. */
export function Tried({ name, event }: { name: string; event: string }) {
  const t = useText();
  const q = useQuery({
    queryKey: ["webhook test", name, event],
    queryFn: ({ signal }) => get(`/webhooks/${encodeURIComponent(name)}/deliveries` as `/webhooks/${string}/deliveries`, { event }, signal),
    refetchInterval: (query) => (query.state.data?.items.length ? false : LOOK_MS),
  });
  const came = q.data?.items[0];
  if (!came)
    return (
      <Alert variant="light" color="gray" mt="xs" p="xs" role="status" icon={<Loader size={14} />}>
        {t("hooks.test.waits")}
      </Alert>
    );
  const good = came.outcome === "delivered";
  return (
    <Alert variant="light" color={good ? "teal" : "red"} mt="xs" p="xs" role="status">
      {good ? t("hooks.test.taken", { status: came.status ?? 200, ms: came.ms ?? 0 }) : t("hooks.test.refused", { code: came.code })}
    </Alert>
  );
}
