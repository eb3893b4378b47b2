"""The one definition of the dashboards; ``resources/dashboards/*.json`` is made from it.

``python -m schedlab.dashboards`` writes these files. They need grafana-foundation-sdk, which is
installed for development only. Their metrics are those that Prometheus sampled in trials, and those
that :mod:`schedlab.dashboards.history` makes from the trials' records.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import (
    bargauge,
    dashboard,
    prometheus,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
)

from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES
from schedlab.schedulers import get_scheduler, scheduler_names

SOURCE = DataSourceRef(type_val="prometheus", uid="schedlab")
TRIAL = 'trial=~"$trial"'
CELL = 'variant=~"$variant",workload=~"$workload"'
OF_TRIAL = f"* on (cluster) group_left () max by (cluster) (schedlab_trial_info{{{TRIAL}}})"
"""Keeps of a sampled series the time in which a chosen trial ran on its cluster."""
UNITS = {"s": "s", "jobs/s": "ops", "1": "none"}
"""Unit of a quantity -> Grafana's name of it."""


class Panel(NamedTuple):
    """A panel: its title, what it shows, its unit in Grafana's names, and its queries.

    A query is a legend and an expression.
    """

    title: str
    about: str
    unit: str
    queries: Sequence[tuple[str, str]]


def _rate(metric: str, labels: str = "") -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def _counted_by_the_scheduler() -> str:
    """Query for the number of running jobs as each scheduler that counts them does."""
    found = [get_scheduler(name).running_jobs for name in scheduler_names()]
    return " or ".join(dict.fromkeys(query for query in found if query))


TRIAL_PANELS: dict[str, Sequence[Panel]] = {
    "Jobs": (
        Panel(
            "Queue and running jobs",
            "Jobs that are due and wait, that run, and that have ended, from the trial's records.",
            "none",
            [("{{state}}", f"schedlab_jobs{{{TRIAL}}}")],
        ),
        Panel(
            "Throughput",
            "Jobs that the driver submitted, that began, and that ended in each second.",
            "ops",
            [
                (name, f"sum(rate(schedlab_jobs_{name}_total{{{TRIAL}}}[$__rate_interval]))")
                for name in ("submitted", "started", "ended")
            ],
        ),
        Panel(
            "Wait",
            "Mean wait of the jobs that began lately: from when each was due to its first"
            " instruction.",
            "s",
            [
                (
                    "mean wait",
                    f"sum({_rate('schedlab_wait_seconds_total', TRIAL)})"
                    f" / (sum({_rate('schedlab_jobs_started_total', TRIAL)}) > 0)",
                )
            ],
        ),
        Panel(
            "Running jobs, as the scheduler counts them",
            "The scheduler's own number, which it brings up to date at a period of its own.",
            "none",
            [("running", f"({_counted_by_the_scheduler()}) {OF_TRIAL}")],
        ),
    ),
    "Scheduler": (
        Panel(
            "Processor use of the daemons",
            "Processors that each daemon uses, over all nodes.",
            "none",
            [
                (
                    "{{process}}",
                    "sum by (cluster, process)"
                    f" ({_rate('schedlab_process_cpu_seconds_total')}) {OF_TRIAL}",
                )
            ],
        ),
        Panel(
            "Memory of the daemons",
            "Resident memory of each daemon, over all nodes.",
            "bytes",
            [
                (
                    "{{process}}",
                    "sum by (cluster, process) (schedlab_process_resident_memory_bytes)"
                    f" {OF_TRIAL}",
                )
            ],
        ),
    ),
    "Nodes": (
        Panel(
            "Busy processors",
            "Processors of each node that did something, jobs and daemons together.",
            "none",
            [
                (
                    "{{instance}}",
                    "sum by (cluster, instance)"
                    ' (rate(node_cpu_seconds_total{mode!~"idle|iowait|steal"}[$__rate_interval]))'
                    f" {OF_TRIAL}",
                )
            ],
        ),
        Panel(
            "Memory in use",
            "Memory of each node that programs cannot get.",
            "bytes",
            [
                (
                    "{{instance}}",
                    "sum by (cluster, instance)"
                    " (node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)"
                    f" {OF_TRIAL}",
                )
            ],
        ),
        Panel(
            "Network",
            "What each node receives and sends.",
            "Bps",
            [
                (
                    f"{{{{instance}}}} {word}",
                    "sum by (cluster, instance)"
                    f" (rate(node_network_{metric}_bytes_total"
                    f'{{device!="lo"}}[$__rate_interval])) {OF_TRIAL}',
                )
                for word, metric in (("receives", "receive"), ("sends", "transmit"))
            ],
        ),
    ),
}
CAMPAIGN_PANELS = (
    Panel(
        "Trials",
        "When each trial ran. 1: its measurement is valid; 0: it is not.",
        "none",
        [("{{trial}}", f"max_over_time(schedlab_trial_valid{{{CELL}}}[$__interval])")],
    ),
    Panel(
        "Load of the host",
        "Load average (1 min) before the workload, and part of the host's processor time that"
        " others took.",
        "none",
        [
            (name.replace("_", " "), f"max(max_over_time(schedlab_trial_{name}[$__interval]))")
            for name in ("load_start", "others")
        ],
    ),
    Panel(
        "Jobs by fate",
        "Jobs of each trial that ended well, and all others.",
        "none",
        [
            (name, f"sum(max_over_time(schedlab_trial_{name}{{{CELL}}}[$__interval]))")
            for name in ("completed", "failed", "unfinished")
        ],
    ),
    Panel(
        "Uncertainty of clocks",
        "Largest uncertainty of a node's clock offset.",
        "s",
        [
            (
                "{{trial}}",
                f"max_over_time(schedlab_trial_clock_uncertainty_s{{{CELL}}}[$__interval])",
            )
        ],
    ),
)
COMPARISON_PANELS = tuple(
    Panel(
        f"{QUANTITIES[name].title}",
        "Mean over the valid trials. The report has the intervals, and what differs for sure.",
        UNITS[QUANTITIES[name].unit],
        [
            (
                "{{variant}}, {{workload}}",
                "avg by (variant, workload) (last_over_time("
                f'schedlab_trial_{QUANTITIES[name].column}{{{CELL},valid="yes"}}[$__range]))',
            )
        ],
    )
    for name in MAIN_QUANTITIES
    if QUANTITIES[name].measured
)


def _queries(panel: Any, spec: Panel, *, instant: bool = False) -> Any:
    panel = panel.title(spec.title).description(spec.about).datasource(SOURCE).unit(spec.unit)
    for number, (legend, expression) in enumerate(spec.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend)
        query = query.instant() if instant else query.range()
        panel = panel.with_target(query.ref_id(chr(ord("A") + number)))
    return panel.height(8)


def _lines(spec: Panel) -> Any:
    panel = timeseries.Panel().line_width(1).fill_opacity(10).min(0)
    panel = panel.draw_style(GraphDrawStyle.LINE).show_points(VisibilityMode.NEVER)
    return _queries(panel, spec).span(8)


def _bars(spec: Panel) -> Any:
    return _queries(bargauge.Panel(), spec, instant=True).span(12)


def _states(spec: Panel) -> Any:
    return _queries(statetimeline.Panel().show_value(VisibilityMode.NEVER), spec).span(24)


def _variable(name: str, query: str) -> Any:
    variable = dashboard.QueryVariable(name).query(query).datasource(SOURCE)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).include_all(True).multi(True)


def _dashboard(name: str, title: str, about: str) -> Any:
    made = dashboard.Dashboard(f"schedlab: {title}").uid(f"schedlab-{name}").description(about)
    made = made.tags(["schedlab"]).readonly().timezone("browser").time("now-1h", "now")
    return made.tooltip(DashboardCursorSync.CROSSHAIR).refresh("")


def _trial() -> Any:
    made = _dashboard("trial", "trial", "One trial, or several, over time.").with_variable(
        _variable("trial", "label_values(schedlab_trial_info, trial)")
    )
    for row, panels in TRIAL_PANELS.items():
        made = made.with_row(dashboard.Row(row))
        for panel in panels:
            made = made.with_panel(_lines(panel))
    return made


def _cells(made: Any) -> Any:
    for name in ("variant", "workload"):
        made = made.with_variable(_variable(name, f"label_values(schedlab_trial_info, {name})"))
    return made


def _campaign() -> Any:
    made = _cells(_dashboard("campaign", "campaign", "Trials over time, and the host's load."))
    made = made.with_panel(_states(CAMPAIGN_PANELS[0]))
    for panel in CAMPAIGN_PANELS[1:]:
        made = made.with_panel(_lines(panel))
    return made


def _comparison() -> Any:
    made = _cells(_dashboard("comparison", "comparison of variants", "Variants side by side."))
    for panel in COMPARISON_PANELS:
        made = made.with_panel(_bars(panel))
    return made


MADE = {"trial": _trial, "campaign": _campaign, "comparison": _comparison}


def text(name: str) -> str:
    """Return the JSON of a dashboard."""
    made = MADE[name]().build()
    return json.dumps(made, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def write(folder: Path) -> None:
    """Write the JSON of every dashboard into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in MADE:
        (folder / f"{name}.json").write_text(text(name), encoding="utf-8")
