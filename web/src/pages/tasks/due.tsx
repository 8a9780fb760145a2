import { Badge } from "@mantine/core";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { When } from "~/shared/time";

export type Urgency = "late" | "soon" | "later" | "none";
const DAY = 86_400_000;

/** Late: its time is over. Soon: less than a day is left. */
export function urgency(due: string | null | undefined, now: number): Urgency {
  if (!due) return "none";
  const left = Date.parse(due) - now;
  return left < 0 ? "late" : left < DAY ? "soon" : "later";
}

const looks = { late: "red", soon: "yellow", later: "gray" } as const;

/** When it is due, by colour, sign and word. */
export function Due({ at, done = false }: { at: string | null | undefined; done?: boolean }) {
  const t = useText();
  const how = urgency(at, Date.now());
  if (how === "none") return <>–</>;
  if (done) return <When at={at} />;
  return (
    <Badge color={looks[how]} variant="light" size="sm" tt="none" leftSection={how === "late" ? <Icon name="warn" size={11} /> : <Icon name="clock" size={11} />} title={t(`due.${how}`)}>
      <When at={at} />
    </Badge>
  );
}
