import { Anchor, Group, List, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { get } from "~/api/client";
import type { Instance } from "~/api/types";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Status } from "~/shared/Status";

interface Node {
  id: string;
  process_id?: string;
  process?: string;
  version?: number;
  status: string;
  children?: Node[];
}

/** The whole family: from the root that began it, down to every call; this one is marked. */
export function Calls({ instance }: { instance: Instance }) {
  const t = useText();
  const root = instance.root && instance.root !== "0" ? instance.root : instance.id;
  const q = useQuery({ queryKey: ["instance", root, "tree"], queryFn: async ({ signal }) => (await get(`/instances/${root}/tree`, {}, signal)) as unknown as Node & { truncated: boolean }, refetchInterval: 5000 });
  return (
    <Answer of={q} empty={(tree) => !tree.children?.length && tree.id === instance.id && <Empty title={t("instance.calls.none")} />}>
      {(tree) => (
        <>
          <List listStyleType="none">
            <Branch node={tree} own={instance.id} />
          </List>
          {tree.truncated && (
            <Text size="xs" c="dimmed">
              {t("instance.calls.cut")}
            </Text>
          )}
        </>
      )}
    </Answer>
  );
}

function Branch({ node, own }: { node: Node; own: string }) {
  const t = useText();
  return (
    <List.Item>
      <Group gap="xs">
        <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: node.id }} {...props} />} size="sm" fw={node.id === own ? 700 : undefined} aria-current={node.id === own ? "true" : undefined}>
          {node.process_id ?? node.process} v{node.version}
        </Anchor>
        <span className="fl-mono">{node.id}</span>
        <Status of={node.status} />
        {node.id === own && <Text size="xs">{t("instance.calls.this")}</Text>}
      </Group>
      {!!node.children?.length && (
        <List listStyleType="none" withPadding>
          {node.children.map((c) => (
            <Branch key={c.id} node={c} own={own} />
          ))}
        </List>
      )}
    </List.Item>
  );
}
