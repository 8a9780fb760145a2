import { Table } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useLayoutEffect, useRef, type ReactNode } from "react";

/** Each cell knows the head of its column; where rows stand as cards it is shown beside (app.css). */
function name(box: HTMLElement) {
  const heads = [...box.querySelectorAll("thead th")].map((th) => th.textContent ?? "");
  for (const row of box.querySelectorAll("tbody tr")) [...row.children].forEach((cell, n) => cell.setAttribute("data-head", heads[n] ?? ""));
}

const PHONE = 768;

/** A table with more columns than a phone has room for, or the window: there each row is a card, so that nothing is cut; elsewhere it scrolls when it must. */
export function Wide({ children, ...scroll }: { children: ReactNode; minWidth: number; mah?: number; mt?: string; type?: "native" }) {
  const narrow = !(useMediaQuery(`(min-width: ${Math.max(PHONE, scroll.minWidth)}px)`, undefined, { getInitialValueInEffect: false }) ?? true);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const there = box.current;
    if (!narrow || !there) return;
    name(there);
    const watch = new MutationObserver(() => name(there));
    watch.observe(there, { childList: true, subtree: true });
    return () => watch.disconnect();
  }, [narrow]);
  if (!narrow) return <Table.ScrollContainer {...scroll}>{children}</Table.ScrollContainer>;
  return (
    <div ref={box} className="fl-cards">
      {children}
    </div>
  );
}
