import "dmn-js/dist/assets/diagram-js.css";
import "dmn-js/dist/assets/dmn-js-shared.css";
import "dmn-js/dist/assets/dmn-js-drd.css";
import "dmn-js/dist/assets/dmn-js-decision-table.css";
import "dmn-js/dist/assets/dmn-js-literal-expression.css";
import "dmn-js/dist/assets/dmn-js-boxed-expression.css";
import "dmn-js/dist/assets/dmn-font/css/dmn.css";
import "./dmn.css";
import NavigatedViewer from "dmn-js/lib/NavigatedViewer";
import { useEffect, useRef, useState } from "react";
import { useLanguage, useText } from "~/i18n";
import type { Definition } from "~/api/types";
import { Imports } from "./Imports";
import { readable } from "./readable";
import { type View, Views } from "./Views";
import { speaking } from "./words";

/* eslint-disable @typescript-eslint/no-explicit-any */
/**
 * The only place that knows dmn-js: tables, expressions and, where the model has one, the graph. `fired`: ids of rules to mark; `counts`: by decision, how often
 * each rule of its table has fired; `imports`: what those of the file are bound to.
 */
export default function DecisionView({ xml, decision, fired = [], counts, imports, label }: { xml: string; decision: string; fired?: string[]; counts?: Record<string, number[] | undefined>; imports?: Definition["imports"]; label: string }) {
  const t = useText();
  const { language } = useLanguage();
  const box = useRef<HTMLDivElement>(null);
  const viewer = useRef<any>(undefined);
  const [views, setViews] = useState<View[]>([]);
  const [shown, setShown] = useState("");
  const [failed, setFailed] = useState<string>();

  useEffect(() => {
    const v = new (NavigatedViewer as any)({ container: box.current!, ...speaking(language) });
    viewer.current = v;
    let over = false;
    v.importXML(readable(xml), { open: false })
      .then(async () => {
        if (over) return;
        const all = v.getViews() as View[];
        const first = all.find((x) => x.element.id === decision) ?? all[0];
        setViews(all);
        setFailed(undefined);
        if (first) {
          await v.open(first);
          setShown(first.id);
        }
      })
      .catch((e: Error) => !over && setFailed(e.message));
    return () => {
      over = true;
      v.destroy();
    };
  }, [xml, decision, language]);

  const marks = fired.join(" ");
  useEffect(() => {
    const cells = box.current?.querySelectorAll<HTMLElement>("tr") ?? [];
    for (const row of cells) row.classList.toggle("fl-fired", marks !== "" && [...row.querySelectorAll<HTMLElement>("[data-row-id]")].some((c) => marks.split(" ").includes(c.dataset.rowId ?? "")));
  }, [marks, shown]);

  const of = views.find((x) => x.id === shown)?.element.id ?? "";
  const told = counts?.[of];
  useEffect(() => {
    const rules = [...(box.current?.querySelectorAll<HTMLElement>("tr") ?? [])].filter((row) => row.querySelector("[data-row-id]"));
    rules.forEach((row, n) => {
      const count = told?.[n];
      row.classList.toggle("fl-never", count === 0);
      const cell = row.querySelector<HTMLElement>("td");
      if (!cell) return;
      if (count === undefined) delete cell.dataset.fired;
      else cell.dataset.fired = count === 0 ? t("coverage.never") : `${count}×`;
    });
  }, [told, shown, t]);

  return (
    <>
      <Imports xml={xml} bound={imports} />
      <Views views={views} shown={shown} open={(view) => void viewer.current.open(view).then(() => setShown(view.id))} />
      {failed && <div role="alert">{t("diagram.failed", { why: failed })}</div>}
      <div ref={box} className="fl-dmn" data-shown={shown || undefined} data-view={views.find((x) => x.id === shown)?.type} role="group" aria-label={label} tabIndex={0} />
    </>
  );
}
