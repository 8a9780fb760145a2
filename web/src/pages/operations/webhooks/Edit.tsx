import { Button, Group, Modal, Stack, Switch, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { send } from "~/api/client";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";
import { bodyOf, offered, SECRETS_MAX, wishOf, wrongs, type Webhook, type Wish } from "./wish";

/** A new webhook, or a change of one. What is wrong is told at its field, at the latest when it is sent. */
export function Edit({ of, close }: { of?: Webhook; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [wish, setWish] = useState<Wish>(() => wishOf(of));
  const [told, setTold] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const wrong = wrongs(wish);
  const put = (more: Partial<Wish>) => setWish((w) => ({ ...w, ...more }));
  const said = (field: keyof Wish) => (told && wrong[field] ? t(wrong[field]) : undefined);
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    setTold(true);
    if (Object.keys(wrong).length > 0) return;
    setBusy(true);
    setError(undefined);
    try {
      await send("PUT", `/webhooks/${encodeURIComponent(wish.name)}`, bodyOf(wish, !of));
      await client.invalidateQueries({ queryKey: ["/webhooks"] });
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={close} title={of ? t("hooks.edit.title", { name: of.name }) : t("hooks.new")} size="lg">
      <form onSubmit={(e) => void submit(e)} noValidate>
        <Stack>
          {!of && <TextInput label={t("signin.name")} description={t("hooks.name.hint")} value={wish.name} onChange={(e) => put({ name: e.currentTarget.value })} error={said("name")} data-autofocus required maxLength={100} />}
          <TextInput label={t("hooks.url")} description={t("hooks.url.hint")} value={wish.url} onChange={(e) => put({ url: e.currentTarget.value })} error={said("url")} inputMode="url" placeholder="https://example.com/in" required data-autofocus={of ? true : undefined} />
          <TagsInput label={t("hooks.secrets")} description={t("hooks.secrets.hint")} value={wish.secrets} onChange={(secrets) => put({ secrets })} error={said("secrets")} maxTags={SECRETS_MAX} acceptValueOnBlur required />
          <TagsInput label={t("hooks.types")} description={t("hooks.types.hint")} data={offered} limit={10} withScrollArea={false} value={wish.types} onChange={(list) => put({ types: list })} acceptValueOnBlur />
          <TagsInput label={t("hooks.definitions")} description={t("hooks.definitions.hint")} value={wish.definitions} onChange={(definitions) => put({ definitions })} acceptValueOnBlur />
          <Textarea label={t("hooks.filter")} description={t("hooks.filter.hint")} placeholder='data.amount > 100 and type = "task.completed"' value={wish.filter} onChange={(e) => put({ filter: e.currentTarget.value })} autosize minRows={1} maxRows={6} styles={{ input: { fontFamily: "ui-monospace, monospace" } }} />
          <Switch label={t("hooks.ordered")} description={t("hooks.ordered.hint")} checked={wish.ordered} onChange={(e) => put({ ordered: e.currentTarget.checked })} />
          {!of && <Switch label={t("hooks.past")} description={t("hooks.past.hint")} checked={wish.past} onChange={(e) => put({ past: e.currentTarget.checked })} />}
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={busy}>
              {t(of ? "save" : "hooks.make")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
