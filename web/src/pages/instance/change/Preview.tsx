import { Checkbox } from "@mantine/core";
import { ApiError } from "~/api/client";
import { useText } from "~/i18n";
import { PlanShown } from "~/shared/PlanShown";
import { Failed, Waiting } from "~/shared/states";
import type { usePlan } from "./usePlan";

/** What would be done, or why it is refused. What is refused for leaving something stuck can be forced. */
export function Preview({ of, force, setForce }: { of: ReturnType<typeof usePlan>; force: boolean; setForce?: (force: boolean) => void }) {
  const t = useText();
  const unsound = of.error instanceof ApiError && of.error.status === 409;
  return (
    <div aria-live="polite" aria-busy={of.waits}>
      {of.error ? <Failed error={of.error} again={of.again} /> : of.plan ? <PlanShown plan={of.plan} /> : of.waits && <Waiting />}
      {setForce && (unsound || force) && <Checkbox mt="xs" label={t("change.force")} checked={force} onChange={(e) => setForce(e.currentTarget.checked)} />}
    </div>
  );
}
