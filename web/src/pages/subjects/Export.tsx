import { SegmentedControl } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { sendForFile } from "~/api/client";
import { useText } from "~/i18n";
import { save } from "~/shared/save";
import { WithReason } from "~/shared/WithReason";

const FORMATS = ["json", "html"] as const;

/** All values and the events that had them, in clear text, as a file: never on the page, where others look. */
export function Export({ of: ref, close }: { of: string; close: () => void }) {
  const t = useText();
  const [format, setFormat] = useState<(typeof FORMATS)[number]>("json");
  return (
    <WithReason
      title={t("subjects.export")}
      what={t("subjects.export.what", { ref })}
      close={close}
      go={async (reason) => {
        const file = await sendForFile(`/subjects/${encodeURIComponent(ref)}/export`, { reason, format });
        save(`subject.${format}`, file.type, file);
        notifications.show({ message: t("subjects.export.done"), color: "teal" });
      }}
    >
      <SegmentedControl aria-label={t("subjects.format")} value={format} onChange={(v) => setFormat(v as typeof format)} data={FORMATS.map((f) => ({ value: f, label: t(`subjects.format.${f}`) }))} />
    </WithReason>
  );
}
