import { Button, Group, Menu, Modal, Radio, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Ask } from "./Ask";
import { Icon } from "./icons";
import { Failed } from "./states";
import { addressOf, filtersOf, groupsOf, shows, type Filters, type SavedView } from "./views";

const KEY = ["saved views"];

/** Filters that are kept on the server, for oneself or for others. A view that is chosen becomes the address: that stays the state. */
export function SavedViews({ page, search }: { page: SavedView["page"]; search: Filters }) {
  const t = useText();
  const may = useMay("views");
  const navigate = useNavigate();
  const [opened, setOpened] = useState(false);
  const [saving, setSaving] = useState<SavedView | "new">();
  const [removing, setRemoving] = useState<SavedView>();
  const client = useQueryClient();
  const q = useQuery({ queryKey: [...KEY, page], enabled: may, staleTime: 30_000, queryFn: ({ signal }) => get("/saved-views", { page: page as "tasks" }, signal) });
  if (!may) return null;
  const views = q.data?.items ?? [];
  const current = views.find((v) => shows(search, v));
  const groups = [
    { label: "views.mine", rows: views.filter((v) => v.mine) },
    { label: "views.shared", rows: views.filter((v) => !v.mine) },
  ].filter((g) => g.rows.length > 0);
  return (
    <>
      <Menu position="bottom-end" withinPortal opened={opened} onChange={setOpened} width={280}>
        <Menu.Target>
          <Button size="xs" variant="default" rightSection={<Icon name="down" size={12} />}>
            {current ? current.name : t("views.title")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown mah={420} style={{ overflow: "auto" }}>
          {q.error ? <Failed error={q.error} again={() => void q.refetch()} /> : q.data && views.length === 0 && <Menu.Label>{t("views.none")}</Menu.Label>}
          {groups.map((g) => [
            <Menu.Label key={g.label}>{t(g.label)}</Menu.Label>,
            ...g.rows.map((v) => (
              <Menu.Item key={v.id} aria-current={v === current || undefined} leftSection={v === current ? <Icon name="check" size={13} /> : undefined} onClick={() => void navigate({ to: ".", search: addressOf(v) })}>
                {v.name}
                {!v.mine && (
                  <Text span size="xs" c="dimmed">
                    {` · ${v.owner || t("shell.nobody")}`}
                  </Text>
                )}
                {v.mine && v.shared !== "no" && (
                  <Text span size="xs" c="dimmed">
                    {` · ${v.shared === "all" ? t("views.shared.all") : v.groups.join(", ")}`}
                  </Text>
                )}
              </Menu.Item>
            )),
          ])}
          <Menu.Divider />
          <Menu.Item leftSection={<Icon name="plus" size={13} />} onClick={() => setSaving("new")}>
            {t("views.save")}
          </Menu.Item>
          {current?.change && <Menu.Item onClick={() => setSaving(current)}>{t("views.edit", { name: current.name })}</Menu.Item>}
          {current?.change && (
            <Menu.Item className="fl-danger" onClick={() => setRemoving(current)}>
              {t("views.remove", { name: current.name })}
            </Menu.Item>
          )}
          {!current &&
            views
              .filter((v) => v.mine)
              .map((v) => (
                <Menu.Item key={`into ${v.id}`} onClick={() => setSaving(v)}>
                  {t("views.overwrite", { name: v.name })}
                </Menu.Item>
              ))}
        </Menu.Dropdown>
      </Menu>
      {saving && <Save of={saving === "new" ? undefined : saving} page={page} search={search} close={() => setSaving(undefined)} />}
      {removing && (
        <Ask
          title={t("views.remove.title")}
          what={t(removing.shared === "no" ? "views.remove.what" : "views.remove.shared", { name: removing.name })}
          danger
          reason={false}
          close={() => setRemoving(undefined)}
          go={async () => {
            await send("DELETE", `/saved-views/${removing.id}`);
            await client.invalidateQueries({ queryKey: KEY });
          }}
        />
      )}
    </>
  );
}

function Save({ of, page, search, close }: { of?: SavedView; page: SavedView["page"]; search: Filters; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [name, setName] = useState(of?.name ?? "");
  const [shared, setShared] = useState<string>(of?.shared ?? "no");
  const [groups, setGroups] = useState((of?.groups ?? []).join(", "));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const filters = filtersOf(search);
  const names = groupsOf(groups);
  const ready = Boolean(name.trim()) && (shared !== "groups" || names.length > 0);
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    if (!ready) return;
    setBusy(true);
    setError(undefined);
    const body = { name: name.trim(), page: page as "tasks", query: filters, shared: shared as "no", groups: shared === "groups" ? names : [] };
    try {
      await (of ? send("PUT", `/saved-views/${of.id}`, body) : send("POST", "/saved-views", body));
      await client.invalidateQueries({ queryKey: KEY });
      notifications.show({ message: t("views.saved", { name: body.name }), color: "teal" });
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={close} title={t(of ? "views.change" : "views.save")}>
      <form onSubmit={(e) => void submit(e)}>
        <Stack>
          <TextInput label={t("views.name")} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus maxLength={200} required />
          <div>
            <Text size="sm" fw={500}>
              {t("views.filters")}
            </Text>
            {Object.keys(filters).length === 0 ? (
              <Text size="sm" c="dimmed">
                {t("views.nofilter")}
              </Text>
            ) : (
              <Group gap={6}>
                {Object.entries(filters).map(([k, v]) => (
                  <code key={k} style={{ overflowWrap: "anywhere" }}>
                    {k} = {v}
                  </code>
                ))}
              </Group>
            )}
          </div>
          <Radio.Group label={t("views.who")} value={shared} onChange={setShared}>
            <Stack gap={6} mt={4}>
              {["no", "groups", "all"].map((v) => (
                <Radio key={v} value={v} label={t(`views.who.${v}`)} />
              ))}
            </Stack>
          </Radio.Group>
          {shared === "groups" && <TextInput label={t("views.groups")} description={t("views.groups.hint")} value={groups} onChange={(e) => setGroups(e.currentTarget.value)} />}
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={busy} disabled={!ready}>
              {t("save")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
