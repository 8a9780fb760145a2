"""Write Grafana's dashboards (`infra/deploy/helm/flowledger/monitoring/*.json`) from the tables below: rows of panels, each with its unit and its queries.
`dashboards.py check` says whether the files are those."""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "infra" / "deploy" / "helm" / "flowledger" / "monitoring"
#: panels of a row, and their height, in Grafana's grid of 24
ACROSS, HEIGHT = 3, 8
#: a selection that every query has; `$process` narrows where there is such a label
NODE = 'job="$job",instance=~"$instance"'
OF = NODE + ',process=~"$process"'

Panel = tuple[str, str, str, list[tuple[str, str]]]


def rate(name: str, by: str = "", of: str = NODE, more: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({name}{{{of}{more}}}[$__rate_interval]))"


def gauge(name: str, by: str = "", how: str = "sum") -> str:
    return f"{how}{f' by ({by})' if by else ''} ({name}{{{NODE}}})"


def spread(name: str, by: str = "", of: str = NODE, name_of: str = "") -> list[tuple[str, str]]:
    """Half, 95 and 99 of a hundred are faster; by a label only 95."""
    shares = ((0.95, name_of),) if by else ((0.5, "50 %"), (0.95, "95 %"), (0.99, "99 %"))
    labels = f"le, {by}" if by else "le"
    return [(f"histogram_quantile({q}, sum by ({labels}) (rate({name}_bucket{{{of}}}[$__rate_interval])))", legend) for q, legend in shares]


def share(name: str, by: str, bad: str) -> str:
    return f"{rate(name, by, OF, f',outcome=~{json.dumps(bad)}')} / {rate(name, by, OF)}"


#: file -> title, whether it asks for a process, rows of (heading, panels of (title, unit, what it tells, queries with legends))
BOARDS: dict[str, tuple[str, bool, list[tuple[str, list[Panel]]]]] = {
    "overview": (
        "Flowledger: overview",
        False,
        [
            (
                "Is it well",
                [
                    ("Processes up", "short", "Processes that answer scrapes.", [('sum(up{job="$job"})', "up")]),
                    ("Open incidents", "short", "Work that waits for somebody to look.", [(gauge("flowledger_incidents"), "incidents")]),
                    (
                        "Findings of the watchdog",
                        "short",
                        "Things that should hold of what runs, and don't. None is right.",
                        [(gauge("flowledger_watchdog_findings", "kind"), "{{kind}}")],
                    ),
                    (
                        "Views behind the log",
                        "s",
                        "How old the oldest event is that lists don't have yet.",
                        [(gauge("flowledger_projection_lag_seconds", "partition", "max"), "partition {{partition}}")],
                    ),
                    (
                        "Dead letters, fencings, takeovers",
                        "short",
                        "In the last hour.",
                        [
                            (f"sum (increase(flowledger_{n}_total{{{NODE}}}[1h])) or vector(0)", t)
                            for n, t in (("dead_letters", "dead letters"), ("fencings", "fencings"), ("takeovers", "takeovers"))
                        ],
                    ),
                    (
                        "Capabilities and breakers",
                        "short",
                        "Capabilities that say they aren't well; breakers that are open.",
                        [
                            (f"count (flowledger_capability_up{{{NODE}}} == 0) or vector(0)", "capabilities down"),
                            (gauge("flowledger_open_breakers"), "breakers open"),
                        ],
                    ),
                ],
            ),
            (
                "What it does",
                [
                    (
                        "Commands a second",
                        "ops",
                        "By what became of them: decided, or the code of the refusal.",
                        [(rate("flowledger_commands_total", "outcome"), "{{outcome}}")],
                    ),
                    (
                        "Events a second",
                        "ops",
                        "Appended to the log and acknowledged.",
                        [(rate("flowledger_events_total"), "events"), (rate("flowledger_projected_events_total"), "projected")],
                    ),
                    ("Bytes a second", "Bps", "Of the groups that were appended.", [(rate("flowledger_batch_bytes_total"), "bytes")]),
                    ("Append to acknowledgement", "s", "Every answer waits for one.", spread("flowledger_append_seconds")),
                    ("Commands in a group", "short", "More in one means less work for each.", spread("flowledger_batch_commands")),
                    (
                        "Commands that wait",
                        "short",
                        "For the owner of their partition.",
                        [(gauge("flowledger_inbox_commands", "partition"), "partition {{partition}}")],
                    ),
                ],
            ),
            (
                "What there is",
                [
                    (
                        "Instances",
                        "short",
                        "Open, and those that wait to be started.",
                        [(gauge("flowledger_instances"), "open"), (gauge("flowledger_pending_instances"), "pending")],
                    ),
                    ("Jobs that wait for a worker", "short", "By type.", [(gauge("flowledger_ready_jobs", "type"), "{{type}}")]),
                    (
                        "Jobs in hand, timers",
                        "short",
                        "",
                        [(gauge("flowledger_leases"), "jobs in hand"), (gauge("flowledger_timers"), "timers")],
                    ),
                ],
            ),
            (
                "Processes of the system",
                [
                    (
                        "CPU",
                        "percentunit",
                        "Of one core.",
                        [(f"rate(flowledger_process_cpu_seconds{{{NODE}}}[$__rate_interval])", "{{instance}} {{process}}")],
                    ),
                    ("Memory", "bytes", "That it holds.", [(f"flowledger_process_resident_bytes{{{NODE}}}", "{{instance}} {{process}}")]),
                    (
                        "How late event loops are",
                        "s",
                        "95 of a hundred times; more than half a second is felt.",
                        spread("flowledger_loop_lag_seconds", "role, process", NODE, "{{role}} {{process}}"),
                    ),
                    (
                        "Connections of the database",
                        "short",
                        "",
                        [
                            (gauge("flowledger_database_connections", "state"), "{{state}}"),
                            (gauge("flowledger_database_connections_max"), "most"),
                            (gauge("flowledger_database_waiting"), "waiting"),
                        ],
                    ),
                    ("Open files", "short", "", [(f"flowledger_process_open_files{{{NODE}}}", "{{instance}} {{process}}")]),
                    (
                        "Heads kept at anchors",
                        "short",
                        "In the last hour, by place and outcome.",
                        [(f"sum by (place, outcome) (increase(flowledger_heads_total{{{NODE}}}[1h]))", "{{place}} {{outcome}}")],
                    ),
                ],
            ),
        ],
    ),
    "processes": (
        "Flowledger: processes",
        True,
        [
            (
                "Instances",
                [
                    ("Ended a second", "ops", "By process.", [(rate("flowledger_instance_outcomes_total", "process", OF), "{{process}}")]),
                    (
                        "Start to end",
                        "s",
                        "95 of a hundred are faster. What is still open isn't in it.",
                        spread("flowledger_instance_seconds", "process", OF, "{{process}}"),
                    ),
                    (
                        "Failed",
                        "percentunit",
                        "Share of those that ended.",
                        [(share("flowledger_instance_outcomes_total", "process", "failed"), "{{process}}")],
                    ),
                ],
            ),
            (
                "Elements",
                [
                    (
                        "Work a second",
                        "ops",
                        "By element.",
                        [(rate("flowledger_element_outcomes_total", "process, element", OF), "{{process}} {{element}}")],
                    ),
                    (
                        "How long it takes",
                        "s",
                        "95 of a hundred attempts are faster.",
                        spread("flowledger_element_seconds", "process, element", OF, "{{process}} {{element}}"),
                    ),
                    (
                        "Failed, timed out, incident",
                        "percentunit",
                        "Share of the attempts.",
                        [
                            (
                                share("flowledger_element_outcomes_total", "process, element", "failed|timed_out|incident"),
                                "{{process}} {{element}}",
                            )
                        ],
                    ),
                ],
            ),
            (
                "Connectors",
                [
                    (
                        "Calls a second",
                        "ops",
                        "By connector and outcome.",
                        [(rate("flowledger_connector_calls_total", "connector, outcome"), "{{connector}} {{outcome}}")],
                    ),
                    (
                        "How long they take",
                        "s",
                        "95 of a hundred are faster.",
                        spread("flowledger_connector_seconds", "connector", NODE, "{{connector}}"),
                    ),
                    (
                        "Targets that fail",
                        "ops",
                        "Calls a second that came to an incident or failed.",
                        [
                            (
                                rate("flowledger_connector_calls_total", "connector, target", NODE, ',outcome=~"incident|failed"'),
                                "{{connector}} {{target}}",
                            )
                        ],
                    ),
                ],
            ),
        ],
    ),
    "doors": (
        "Flowledger: doors",
        False,
        [
            (
                "HTTP",
                [
                    ("Requests a second", "ops", "By status.", [(rate("flowledger_http_requests_total", "status"), "{{status}}")]),
                    ("How long they take", "s", "", spread("flowledger_http_seconds")),
                    (
                        "The slowest routes",
                        "s",
                        "95 of a hundred are faster. Long polls wait on purpose.",
                        [(f"topk(10, {spread('flowledger_http_seconds', 'method, route')[0][0]})", "{{method}} {{route}}")],
                    ),
                    (
                        "Routes that are asked most",
                        "ops",
                        "",
                        [(f"topk(10, {rate('flowledger_http_requests_total', 'method, route')})", "{{method}} {{route}}")],
                    ),
                    (
                        "Errors of ours",
                        "ops",
                        "Answers of 500 and above.",
                        [(rate("flowledger_http_requests_total", "route, status", NODE, ',status=~"5.."'), "{{route}} {{status}}")],
                    ),
                    (
                        "Refused for their number",
                        "ops",
                        "By address, caller, tenant or connection.",
                        [(rate("flowledger_rate_limited_total", "by, door"), "{{by}} {{door}}")],
                    ),
                ],
            ),
            (
                "Commands and streams",
                [
                    ("Commands by kind", "ops", "", [(rate("flowledger_commands_total", "command"), "{{command}}")]),
                    (
                        "Refused",
                        "ops",
                        "By the code of the refusal.",
                        [(rate("flowledger_commands_total", "command, outcome", NODE, ',outcome!="decided"'), "{{command}} {{outcome}}")],
                    ),
                    ("Open subscriptions", "short", "", [(gauge("flowledger_subscribers", "kind"), "{{kind}}")]),
                ],
            ),
        ],
    ),
}
SOURCE = {"type": "prometheus", "uid": "${source}"}


def variable(name: str, label: str, query: str, several: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2, "sort": 1}
    return found | ({"multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}} if several else {})


def panel(n: int, y: int, across: int, of: Panel) -> dict[str, Any]:
    title, unit, tells, queries = of
    width = 24 // ACROSS
    targets = [{"refId": chr(65 + k), "datasource": SOURCE, "expr": q, "legendFormat": legend} for k, (q, legend) in enumerate(queries)]
    return {
        "id": n, "type": "timeseries", "title": title, "description": tells, "datasource": SOURCE, "targets": targets,
        "gridPos": {"x": across * width, "y": y, "w": width, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    }  # fmt: skip


def board(name: str) -> dict[str, Any]:
    title, by_process, rows = BOARDS[name]
    panels: list[dict[str, Any]] = []
    y = 0
    for heading, of_row in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": heading, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": []})
        y += 1
        for k, of in enumerate(of_row):
            panels.append(panel(len(panels) + 1, y + k // ACROSS * HEIGHT, k % ACROSS, of))
        y += -(-len(of_row) // ACROSS) * HEIGHT
    variables = [
        {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus", "refresh": 1},
        variable("job", "Job", "label_values(flowledger_process_cpu_seconds, job)", several=False),
        variable("instance", "Process", 'label_values(flowledger_process_cpu_seconds{job="$job"}, instance)'),
    ]
    if by_process:
        variables.append(variable("process", "Definition", 'label_values(flowledger_instance_outcomes_total{job="$job"}, process)'))
    return {
        "uid": f"flowledger-{name}", "title": title, "tags": ["flowledger"], "schemaVersion": 39, "version": 1, "editable": True,
        "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser", "graphTooltip": 1,
        "templating": {"list": variables}, "panels": panels,
        "links": [{"type": "dashboards", "tags": ["flowledger"], "title": "Flowledger", "asDropdown": True, "includeVars": True, "keepTime": True}],
    }  # fmt: skip


def main() -> None:
    stale = []
    for name in BOARDS:
        path = FOLDER / f"{name}.json"
        text = json.dumps(board(name), indent=1) + "\n"
        if sys.argv[1:] == ["check"]:
            stale += [] if path.is_file() and path.read_text() == text else [path.name]
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"not what tools/dashboards.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
