import { Box, ScrollArea, Text } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Fragment, useEffect, useLayoutEffect, useRef, useState, type ReactNode, type RefObject } from "react";
import { useText } from "~/i18n";
import { useNarrow } from "./Folded";
import { TwoLines } from "./TwoLines";

export interface Column<T> {
  key: string;
  head: ReactNode;
  /** CSS grid track: `minmax(8rem, 2fr)` */
  width: string;
  cell: (row: T) => ReactNode;
  /** Where it stands on a phone, when any column of the list says so: what the row is, how it stands, what tells it from its like, its time; `act` stays a column. Others are left to what a row opens. */
  phone?: "title" | "status" | "more" | "aside" | "act";
}

/** On a phone a row has two lines instead of columns that are cut. */
function onPhone<T>(columns: Column<T>[]): Column<T>[] {
  const cells = (place: Column<T>["phone"], row: T) => columns.filter((c) => c.phone === place).map((c, n) => <Fragment key={c.key}>{n > 0 && " · "}{c.cell(row)}</Fragment>);
  const title = columns.find((c) => c.phone === "title")!;
  return [
    { key: title.key, head: title.head, width: "minmax(8rem, 1fr)", cell: (row) => <TwoLines status={cells("status", row)} more={cells("more", row)} aside={cells("aside", row)}>{title.cell(row)}</TwoLines> },
    ...columns.filter((c) => c.phone === "act"),
  ];
}

interface Props<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  onOpen?: (row: T) => void;
  more?: () => void;
  hasMore?: boolean;
  /** none: what is left of the window below its place, so that the page doesn't scroll as well */
  height?: string;
  rowHeight?: number;
}

const LEAST = 280;

/** How high a list may be: what was said, or as far as the window goes from where the list begins (at least some rows). */
function useRoom(box: RefObject<HTMLDivElement | null>, said: string | undefined): string {
  const [top, setTop] = useState(220);
  useLayoutEffect(() => {
    if (said) return;
    const measure = () => box.current && setTop(Math.round(box.current.getBoundingClientRect().top + window.scrollY));
    measure();
    const seen = new ResizeObserver(measure);
    seen.observe(document.body);
    const main = box.current?.closest("main");
    if (main) for (const part of main.children) seen.observe(part);
    return () => seen.disconnect();
  }, [box, said]);
  return said ?? `max(${LEAST}px, calc(100dvh - ${top + 24}px))`;
}

/** A list of any length: only rows in sight are in the page, the next ones are fetched near the end. Arrow keys move, Enter opens. */
export function RowList<T>({ label, rows, columns: all, rowKey, onOpen, more, hasMore, height, rowHeight: high = 40 }: Props<T>) {
  const t = useText();
  const narrow = useNarrow() && all.some((c) => c.phone === "title");
  const columns = narrow ? onPhone(all) : all;
  const rowHeight = narrow ? 56 : high;
  const box = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => rowHeight, overscan: 12 });
  const items = list.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && more && last >= rows.length - 15) more();
  }, [last, rows.length, hasMore, more]);
  const room = useRoom(box, height);
  const tracks = columns.map((c) => c.width).join(" ");
  const focus = (n: number) => {
    list.scrollToIndex(Math.max(0, Math.min(rows.length - 1, n)));
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${n}"]`)?.focus());
  };
  return (
    <ScrollArea.Autosize mah={room} viewportRef={box} type="auto" offsetScrollbars="present" style={{ border: "1px solid var(--mantine-color-default-border)", borderRadius: 4 }}>
      <div role="table" aria-label={label} aria-rowcount={hasMore ? -1 : rows.length} style={{ minWidth: columns.length * 110 }}>
        <div role="rowgroup" style={{ position: "sticky", top: 0, zIndex: 2 }}>
          <Box role="row" bg="var(--mantine-color-body)" style={{ display: "grid", gridTemplateColumns: tracks, gap: 12, padding: "6px 12px", borderBottom: "1px solid var(--mantine-color-default-border)" }}>
            {columns.map((c) => (
              <Text role="columnheader" key={c.key} size="xs" fw={600} c="dimmed" component="div">
                {c.head}
              </Text>
            ))}
          </Box>
        </div>
        <div role="rowgroup" style={{ height: list.getTotalSize(), position: "relative" }}>
          {items.map((item) => {
            const row = rows[item.index]!;
            return (
              <div
                role="row"
                key={rowKey(row)}
                data-row={item.index}
                aria-rowindex={item.index + 1}
                tabIndex={0}
                className={onOpen ? "fl-row-link" : undefined}
                onClick={(e) => {
                  if (onOpen && !(e.target as HTMLElement).closest("a,button,input,label")) onOpen(row);
                }}
                onKeyDown={(e) => {
                  if (e.target !== e.currentTarget) return;
                  if (e.key === "Enter" && onOpen) onOpen(row);
                  else if (e.key === "ArrowDown") focus(item.index + 1);
                  else if (e.key === "ArrowUp") focus(item.index - 1);
                  else return;
                  e.preventDefault();
                }}
                style={{ position: "absolute", top: 0, left: 0, right: 0, height: item.size, transform: `translateY(${item.start}px)`, display: "grid", gridTemplateColumns: tracks, gap: 12, alignItems: "center", padding: "0 12px", borderBottom: "1px solid var(--mantine-color-default-border)" }}
              >
                {columns.map((c) => (
                  <div role="cell" key={c.key} className="fl-cut">
                    {c.cell(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
        {hasMore && (
          <Text size="xs" c="dimmed" ta="center" p={6} role="status">
            {t("list.more")}
          </Text>
        )}
      </div>
    </ScrollArea.Autosize>
  );
}
