import { Alert, Anchor, Button, Code, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { get } from "~/api/client";
import { prove } from "~/api/passkeys";
import { possible } from "~/api/session";
import { useText } from "~/i18n";
import { Answer, Failed, PageHead } from "~/shared/states";
import { When } from "~/shared/time";
import { useWork } from "~/shared/work";

/** Somebody has asked for something by a program of theirs (the command line): here they see what it is, and show their passkey for it. */
export function StepUpPage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const [done, setDone] = useState(false);
  const { busy, error, run } = useWork();
  const asked = useQuery({ queryKey: ["step-up", id], queryFn: ({ signal }) => get(`/step-ups/${id}`, {}, signal), retry: false });
  const show = (options: Record<string, unknown>) =>
    run(async () => {
      await prove(id, options);
      setDone(true);
    });
  return (
    <>
      <PageHead title={t("stepup.title")}>{t("stepup.what")}</PageHead>
      <Answer of={asked}>
        {(s) => (
          <Stack align="flex-start" maw={720}>
            <Text size="sm">
              {t("stepup.operation")} <Code>{s.operation}</Code>
            </Text>
            <Code block>{s.path}</Code>
            <Text size="sm" c="dimmed">
              {t("stepup.until")} {s.expires_at && <When at={s.expires_at} />}
            </Text>
            {done || s.proven ? (
              <Alert color="green" variant="light" role="status">
                {t("stepup.done")}
              </Alert>
            ) : s.public_key && possible() ? (
              <Button loading={busy} onClick={() => void show(s.public_key as Record<string, unknown>)}>
                {t("stepup.show")}
              </Button>
            ) : (
              <Alert color="yellow" variant="light">
                {possible() ? (
                  <>
                    {t("stepup.nokey")}{" "}
                    <Anchor component={Link} to="/account" size="sm" underline="always">
                      {t("account.title")}
                    </Anchor>
                  </>
                ) : (
                  t("passkeys.nothere", { url: `${location.protocol}//localhost:${location.port}` })
                )}
              </Alert>
            )}
            {error !== undefined && <Failed error={error} />}
          </Stack>
        )}
      </Answer>
    </>
  );
}
