import { Alert, Anchor, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { get } from "~/api/client";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Icon } from "./icons";
import { When } from "./time";

/** somebody else decides while one looks */
const LOOK_MS = 3_000;
const OPEN = new Set(["waiting", "approved"]);

/** In the place of an error: what was asked for waits until somebody else has approved it, and what has become of that. */
export function WaitsForSecond({ approval }: { approval: string }) {
  const t = useText();
  const q = useQuery({
    queryKey: ["/approvals", approval],
    enabled: useMay("approvals"),
    queryFn: ({ signal }) => get(`/approvals/${approval}`, {}, signal),
    refetchInterval: (query) => (!query.state.data || OPEN.has(query.state.data.status) ? LOOK_MS : false),
  });
  const found = q.data;
  const status = found?.status ?? "waiting";
  const approved = status === "approved";
  const used = status === "used"; // carried out from elsewhere
  const over = status === "refused" || status === "expired";
  return (
    <Alert color={approved || used ? "teal" : over ? "red" : "yellow"} variant="light" icon={<Icon name={approved || used ? "check" : over ? "warn" : "person"} />} title={t(`second.${status === "waiting" ? "waits" : status}`, { who: found?.decided_by ?? "" })} role="status">
      <Text size="sm">
        {!used && t(approved ? "second.approved.do" : over ? "second.over.do" : "second.what")}{" "}
        {status === "waiting" && found && (
          <>
            {t("second.until")} <When at={found.expires_at} exact />.{" "}
          </>
        )}
        <Anchor size="sm" underline="always" renderRoot={(props) => <Link to="/approvals" search={{ tab: "mine" } as Record<string, string>} {...props} />}>
          {t("approvals.title")}
        </Anchor>
      </Text>
      {found?.answer && (
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {t("second.answer", { who: found.decided_by ?? "", reason: found.answer })}
        </Text>
      )}
    </Alert>
  );
}
