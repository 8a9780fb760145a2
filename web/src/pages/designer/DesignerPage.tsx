import "~/i18n/for-designer";
import { ActionIcon, Anchor, Button, FileButton, Group, Menu, Modal, SegmentedControl, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { get, send } from "~/api/client";
import { useList } from "~/api/lists";
import type { Draft, DraftRow, Finding } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Icon } from "~/shared/icons";
import { RowList } from "~/shared/RowList";
import { save } from "~/shared/save";
import { Empty, Failed, Listed, PageHead } from "~/shared/states";
import { When } from "~/shared/time";
import { blank, fileName, type Kind } from "./blank";
import * as kept from "./kept";
import { FindingList } from "./Findings";

/** Models that are being drawn: new ones, files, and what others have begun. */
export function DesignerPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [renaming, setRenaming] = useState<DraftRow>();
  const [removing, setRemoving] = useState<DraftRow>();
  const [refused, setRefused] = useState<{ name: string; findings: Finding[] }>();
  const [error, setError] = useState<unknown>();
  const list = useList("/drafts", { name: search.name });
  const begin = async (name: string, kind: Kind | undefined, content: string) => {
    const made = (await send("POST", "/drafts", { name, content, ...(kind ? { kind } : {}) })) as Draft;
    await client.invalidateQueries({ queryKey: ["/drafts"] });
    void navigate({ to: "/designer/$id", params: { id: made.id } });
  };
  const exported = async (d: DraftRow) => {
    try {
      const { content } = await get(`/drafts/${d.id}`);
      save(fileName(d.name, d.kind, content), "application/octet-stream", content);
    } catch (e) {
      setError(e);
    }
  };
  const taken = async (file: File | null) => {
    if (!file) return;
    setError(undefined);
    setRefused(undefined);
    try {
      const text = await file.text();
      const found = await send("POST", "/models/check", { name: file.name, content: text });
      const name = file.name.replace(/\.[^.]*$/, "") || file.name;
      if (found.format === "dmn" || found.format === "form") return await begin(name, found.format === "dmn" ? "decision" : "form", text);
      if (found.format === "bpmn" && text.includes("BPMNPlane")) return await begin(name, "process", text);
      // ours or another's: drawn by the server
      const drawn = await send("POST", "/models/convert", { name: file.name, content: text });
      if (drawn.content) return await begin(name, "process", drawn.content);
      setRefused({ name: file.name, findings: drawn.findings as Finding[] });
    } catch (e) {
      setError(e);
    }
  };
  return (
    <>
      <PageHead
        title={t("designer.title")}
        actions={
          <>
            <FileButton onChange={(f) => void taken(f)} accept=".bpmn,.dmn,.form,.json,.yaml,.yml,.bpml,.xml" inputProps={{ "aria-label": t("designer.import") }}>
              {(props) => (
                <Button size="xs" variant="default" {...props}>
                  {t("designer.import")}
                </Button>
              )}
            </FileButton>
            <Button size="xs" leftSection={<Icon name="plus" size={13} />} onClick={() => setMaking(true)}>
              {t("designer.new")}
            </Button>
          </>
        }
      >
        {t("designer.what")}
      </PageHead>
      {error !== undefined && <Failed error={error} />}
      {refused && (
        <Stack gap="xs" mb="md" role="alert">
          <Text fw={600}>{t("designer.refused", { name: refused.name })}</Text>
          <FindingList findings={refused.findings} />
        </Stack>
      )}
      <Group mb="sm">
        <TextInput aria-label={t("designer.search")} placeholder={t("designer.search")} leftSection={<Icon name="search" size={15} />} value={search.name ?? ""} onChange={(e) => void navigate({ to: ".", search: { name: e.currentTarget.value }, replace: true })} w={280} />
      </Group>
      <Listed
        list={list}
        none={
          <Empty
            title={t(search.name ? "list.nothing" : "designer.none")}
            action={
              <Button size="xs" variant="light" onClick={() => (search.name ? void navigate({ to: ".", search: {} }) : setMaking(true))}>
                {t(search.name ? "list.clear" : "designer.new")}
              </Button>
            }
          >
            {!search.name && t("designer.none.hint")}
          </Empty>
        }
      >
        <RowList
          label={t("designer.title")}
          rows={list.rows}
          rowKey={(d) => d.id}
          onOpen={(d) => void navigate({ to: "/designer/$id", params: { id: d.id } })}
          more={list.more}
          hasMore={list.hasNextPage}
          columns={[
            { key: "name", phone: "title", head: t("designer.name"), width: "minmax(8rem, 3fr)", cell: (d) => <Anchor renderRoot={(props) => <Link to="/designer/$id" params={{ id: d.id }} {...props} />}>{d.name}</Anchor> },
            { key: "kind", phone: "status", head: t("designer.kind"), width: "6rem", cell: (d) => t(`designer.kind.${d.kind}`) },
            { key: "version", phone: "more", head: t("col.version"), width: "5rem", cell: (d) => `v${d.version}${kept.read(d.id) ? " *" : ""}` },
            { key: "by", phone: "more", head: t("designer.by"), width: "minmax(6rem, 1fr)", cell: (d) => d.updated_by },
            { key: "at", phone: "aside", head: t("designer.saved"), width: "8rem", cell: (d) => <When at={d.updated_at} /> },
            {
              key: "more",
              phone: "act",
              head: "",
              width: "2.5rem",
              cell: (d) => (
                <Menu position="bottom-end" withinPortal>
                  <Menu.Target>
                    <ActionIcon variant="subtle" color="gray" aria-label={t("designer.more", { name: d.name })} onClick={(e) => e.stopPropagation()}>
                      <Icon name="more" />
                    </ActionIcon>
                  </Menu.Target>
                  <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
                    <Menu.Item onClick={() => setRenaming(d)}>{t("designer.rename")}</Menu.Item>
                    <Menu.Item onClick={() => void exported(d)}>{t("designer.export")}</Menu.Item>
                    <Menu.Item className="fl-danger" onClick={() => setRemoving(d)}>
                      {t("designer.delete")}
                    </Menu.Item>
                  </Menu.Dropdown>
                </Menu>
              ),
            },
          ]}
        />
      </Listed>
      {making && <New close={() => setMaking(false)} go={begin} />}
      {renaming && <Rename of={renaming} close={() => setRenaming(undefined)} />}
      {removing && (
        <Ask
          title={t("designer.delete")}
          what={t("designer.delete.what", { name: removing.name, count: removing.version })}
          danger
          reason={false}
          close={() => setRemoving(undefined)}
          go={async () => {
            await send("DELETE", `/drafts/${removing.id}`);
            kept.forget(removing.id);
            await client.invalidateQueries({ queryKey: ["/drafts"] });
            notifications.show({ message: t("designer.deleted", { name: removing.name }) });
          }}
        />
      )}
    </>
  );
}

function New({ close, go }: { close: () => void; go: (name: string, kind: Kind, content: string) => Promise<void> }) {
  const t = useText();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<Kind>("process");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    const called = name.trim();
    if (!called) return;
    setBusy(true);
    try {
      await go(called, kind, blank(kind, called));
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={close} title={t("designer.new")}>
      <form onSubmit={(e) => void submit(e)}>
        <Stack>
          <SegmentedControl aria-label={t("designer.kind")} value={kind} onChange={(v) => setKind(v as Kind)} data={(["process", "decision", "form"] as const).map((k) => ({ value: k, label: t(`designer.kind.${k}`) }))} />
          <TextInput label={t("designer.name")} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus maxLength={255} required />
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t("cancel")}
            </Button>
            <Button type="submit" loading={busy} disabled={!name.trim()}>
              {t("designer.begin")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

export function Rename({ of, close }: { of: { id: string; name: string }; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [name, setName] = useState(of.name);
  return (
    <Ask
      title={t("designer.rename")}
      what={t("designer.rename.what")}
      reason={false}
      ready={Boolean(name.trim())}
      close={close}
      go={async () => {
        await send("PUT", `/drafts/${of.id}`, { name: name.trim() });
        client.setQueryData(["draft", of.id], (d: Draft | undefined) => d && { ...d, name: name.trim() });
        await client.invalidateQueries({ queryKey: ["/drafts"] });
      }}
    >
      <TextInput label={t("designer.name")} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus maxLength={255} />
    </Ask>
  );
}
