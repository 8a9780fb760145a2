import { Anchor, Button, Group, TextInput } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Empty, PageHead } from "~/shared/states";
import { LegalHolds } from "./LegalHolds";
import { Subject } from "./Subject";

/** A subject's reference has at most so many characters on the server, too. */
const REF_MAX = 200;

/** Whom protected variables are about: found by their reference, exported, erased, held. */
export function SubjectsPage() {
  const t = useText();
  return useMay("subjects") ? <Subjects /> : <Empty title={t("subjects.maynot")}>{t("subjects.maynot.hint")}</Empty>;
}

function Subjects() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const asked = search.subject ?? "";
  const [ref, setRef] = useState(asked);
  useEffect(() => setRef(asked), [asked]);
  return (
    <>
      <PageHead title={t("subjects.title")}>
        {t("subjects.what")}{" "}
        <Anchor component={Link} to="/operations" size="sm" underline="always">
          {t("operations.title")}
        </Anchor>
      </PageHead>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void navigate({ to: ".", search: ref.trim() ? { subject: ref.trim() } : {} });
        }}
      >
        <Group align="flex-end" gap="xs" mb="md" wrap="wrap">
          <TextInput style={{ flex: "1 1 14rem" }} maw={460} label={t("subjects.ref")} description={t("subjects.ref.hint")} placeholder="C-4711" value={ref} maxLength={REF_MAX} autoComplete="off" onChange={(e) => setRef(e.currentTarget.value)} />
          <Button type="submit" leftSection={<Icon name="search" size={14} />} disabled={!ref.trim()}>
            {t("subjects.look")}
          </Button>
        </Group>
      </form>
      {asked && <Subject key={asked} of={asked} />}
      <LegalHolds />
    </>
  );
}
