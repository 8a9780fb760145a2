import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { NotFound, PageFailed } from "~/shared/states";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: PageFailed });

/** Search parameters are the state of a page: a copied address shows the same view. Texts only; pages read what they know. */
export type Search = Record<string, string>;
const texts = (raw: Record<string, unknown>): Search =>
  Object.fromEntries(
    Object.entries(raw)
      .filter(([, v]) => v !== undefined && v !== null && v !== "")
      .map(([k, v]) => [k, typeof v === "string" ? v : JSON.stringify(v)]),
  );

const page = <const P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
  createRoute({
    getParentRoute: () => root,
    path,
    validateSearch: texts,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    component: lazyRouteComponent(load as () => Promise<any>, name),
    errorComponent: PageFailed,
  });

const routes = [
  page("/", () => import("~/pages/home/HomePage"), "HomePage"),
  page("/tasks", () => import("~/pages/tasks/TasksPage"), "TasksPage"),
  page("/tasks/$id", () => import("~/pages/tasks/TaskPage"), "TaskPage"),
  page("/processes", () => import("~/pages/processes/ProcessesPage"), "ProcessesPage"),
  page("/processes/$id", () => import("~/pages/processes/ProcessPage"), "ProcessPage"),
  page("/instances", () => import("~/pages/instances/InstancesPage"), "InstancesPage"),
  page("/instances/$id", () => import("~/pages/instance/InstancePage"), "InstancePage"),
  page("/designer", () => import("~/pages/designer/DesignerPage"), "DesignerPage"),
  page("/designer/$id", () => import("~/pages/designer/DraftPage"), "DraftPage"),
  page("/decisions", () => import("~/pages/decisions/DecisionsPage"), "DecisionsPage"),
  page("/decisions/$id", () => import("~/pages/decisions/DecisionPage"), "DecisionPage"),
  page("/operations", () => import("~/pages/operations/OperationsPage"), "OperationsPage"),
  page("/operations/subjects", () => import("~/pages/subjects/SubjectsPage"), "SubjectsPage"),
  page("/operations/retention", () => import("~/pages/retention/RetentionPage"), "RetentionPage"),
  page("/operations/evidence", () => import("~/pages/evidence/EvidencePage"), "EvidencePage"),
  page("/insight", () => import("~/pages/insight/InsightPage"), "InsightPage"),
  page("/insight/capacity", () => import("~/pages/insight/CapacityPage"), "CapacityPage"),
  page("/insight/kpis", () => import("~/pages/insight/KpisPage"), "KpisPage"),
  page("/insight/reports", () => import("~/pages/insight/ReportsPage"), "ReportsPage"),
  page("/insight/alerts", () => import("~/pages/alerts/AlertsPage"), "AlertsPage"),
  page("/account", () => import("~/pages/account/AccountPage"), "AccountPage"),
  page("/step-up/$id", () => import("~/pages/account/StepUpPage"), "StepUpPage"),
  page("/approvals", () => import("~/pages/approvals/ApprovalsPage"), "ApprovalsPage"),
  page("/api", () => import("~/pages/api/ApiPage"), "ApiPage"),
];

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: "intent",
  // plain texts in the address, not JSON: `?status=running`
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const q = new URLSearchParams(Object.entries(search).filter(([, v]) => v !== undefined && v !== "") as [string, string][]).toString();
    return q ? `?${q}` : "";
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
