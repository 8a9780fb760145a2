import { Button, Modal, Stack, Text } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import type { Draft } from "~/api/types";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";
import { When } from "~/shared/time";
import type { Conflict, useDraft } from "./useDraft";
import * as kept from "./kept";

/** Somebody has saved on the version that this work began with: three ways, and in each both are kept. */
export function ConflictDialog({ d, draft, with: other, close }: { d: ReturnType<typeof useDraft>; draft: Draft; with: Conflict; close: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const [error, setError] = useState<unknown>();
  const by = other.by || t("shell.nobody");
  const run = (work: () => Promise<unknown>) => () => {
    setError(undefined);
    work().then(close, setError);
  };
  return (
    <Modal opened onClose={close} title={t("designer.conflict")}>
      <Stack>
        <Text size="sm">
          {t("designer.conflict.what", { by, version: other.version, base: d.base })} <When at={other.at} />
        </Text>
        <Button
          variant="light"
          onClick={run(async () => {
            if (!(await d.save(t("designer.conflict.comment", { version: other.version, by }), true))) throw new Error(t("designer.conflict.again"));
          })}
        >
          {t("designer.conflict.mine", { version: other.version })}
        </Button>
        <Button
          variant="light"
          onClick={run(async () => {
            const text = (await d.editor.current?.text()) ?? d.text;
            const made = (await send("POST", "/drafts", { name: t("designer.conflict.copy", { name: draft.name }).slice(0, 255), kind: draft.kind, content: text })) as Draft;
            kept.forget(draft.id);
            await navigate({ to: "/designer/$id", params: { id: made.id } });
          })}
        >
          {t("designer.conflict.apart")}
        </Button>
        <Button
          variant="light"
          onClick={run(async () => {
            const text = (await d.editor.current?.text()) ?? d.text;
            await send("POST", "/drafts", { name: t("designer.conflict.copy", { name: draft.name }).slice(0, 255), kind: draft.kind, content: text });
            await d.load(other.version);
          })}
        >
          {t("designer.conflict.theirs", { by })}
        </Button>
        {error !== undefined && <Failed error={error} />}
        <Button variant="default" onClick={close}>
          {t("cancel")}
        </Button>
      </Stack>
    </Modal>
  );
}
