import { Button, Group, Modal, MultiSelect, Select, Stack, Switch, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";
import { FIGURES, GROUPS, LAG, MEASURES, ruleOf, SEVERITIES, TIMES, wishOf, wrongs, type Alert, type Rule, type Wish } from "./rule";
import { Trial } from "./Trial";

/** A new alert, or a change of one; tried on the past before it is stored. */
export function Edit({ of, close }: { of?: Alert; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const known = useQuery({ queryKey: ["/definitions", "newest"], queryFn: ({ signal }) => get("/definitions", { kind: "process", latest: true, limit: 500 }, signal) });
  const [wish, setWish] = useState<Wish>(() => wishOf(of));
  const [told, setTold] = useState(false);
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState<Rule>();
  const [error, setError] = useState<unknown>();
  const wrong = wrongs(wish);
  const put = (more: Partial<Wish>) => {
    setTried(undefined);
    setWish((w) => ({ ...w, ...more }));
  };
  const said = (field: keyof Wish) => (told && wrong[field] ? t(wrong[field]) : undefined);
  const good = () => {
    setTold(true);
    setError(undefined);
    return Object.keys(wrong).length === 0;
  };
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    if (!good()) return;
    setBusy(true);
    try {
      await send("PUT", `/alerts/${encodeURIComponent(wish.name.trim())}` as `/alerts/${string}`, ruleOf(wish, of));
      await client.invalidateQueries({ queryKey: ["/alerts"] });
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  const text = (field: "title" | "element" | "limit" | "window" | "for" | "keep" | "least", more: { placeholder?: string; required?: boolean } = {}) => (
    <TextInput label={t(`alerts.field.${field}`)} description={t(`alerts.field.${field}.hint`)} value={wish[field]} onChange={(e) => put({ [field]: e.currentTarget.value })} error={said(field)} {...more} />
  );
  const choice = (field: "measure" | "figure" | "severity" | "side", words: string[], name: (word: string) => string) => <Select label={t(`alerts.field.${field}`)} allowDeselect={false} value={wish[field]} data={words.map((value) => ({ value, label: name(value) }))} onChange={(value) => put({ [field]: value ?? wish[field] })} />;
  const wide = wish.measure !== LAG;
  return (
    <Modal opened onClose={close} title={of ? t("hooks.edit.title", { name: of.name }) : t("alerts.new")} size="lg">
      <form onSubmit={(e) => void submit(e)} noValidate>
        <Stack>
          {!of && <TextInput label={t("signin.name")} value={wish.name} onChange={(e) => put({ name: e.currentTarget.value })} error={said("name")} data-autofocus required maxLength={200} />}
          {text("title")}
          <Group grow align="start">
            {choice("measure", MEASURES, (m) => t(`alerts.measure.${m}`))}
            {TIMES.includes(wish.measure) && choice("figure", FIGURES, (f) => f)}
          </Group>
          <Group grow align="start">
            {choice("side", ["above", "below"], (s) => t(`alerts.${s}`))}
            {text("limit", { required: true, placeholder: TIMES.includes(wish.measure) || !wide ? "PT2H" : "10" })}
          </Group>
          {wide && (
            <>
              <Group grow align="start">
                <Select label={t("col.process")} clearable searchable placeholder={t("insight.all")} value={wish.process || null} data={[...new Set([...(known.data?.items ?? []).map((d) => d.definition_id), ...(wish.process ? [wish.process] : [])])]} onChange={(process) => put({ process: process ?? "" })} />
                {text("element")}
              </Group>
              <MultiSelect label={t("alerts.field.group")} description={t("alerts.field.group.hint")} value={wish.group} data={GROUPS.map((value) => ({ value, label: t(`alerts.group.${value}`) }))} onChange={(group) => put({ group })} />
            </>
          )}
          <Group grow align="start">
            {wide && text("window", { placeholder: "PT1H" })}
            {text("for", { placeholder: "PT15M" })}
            {text("keep", { placeholder: "PT15M" })}
          </Group>
          <Group grow align="start">
            {wide && text("least")}
            {choice("severity", SEVERITIES, (s) => t(`alerts.severity.${s}`))}
          </Group>
          <Switch label={t("alerts.field.enabled")} checked={wish.enabled} onChange={(e) => put({ enabled: e.currentTarget.checked })} />
          {tried && <Trial name={wish.name.trim()} measure={wish.measure} rule={tried} />}
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t("cancel")}
            </Button>
            {wide && (
              <Button variant="default" onClick={() => good() && setTried(ruleOf(wish, of))}>
                {t("alerts.try")}
              </Button>
            )}
            <Button type="submit" loading={busy}>
              {t(of ? "save" : "hooks.make")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
