"""Stages of the workflow as a bundle's metadata tell them: what they do, and when they ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from schedlab.paths import RESULTS


class Step(NamedTuple):
    """A stage of the workflow: its command and what it does."""

    name: str
    description: str


STEPS = (
    Step("toolchain", "finds or builds the tools"),
    Step("base", "builds a base disk"),
    Step("accelerator", "probes the accelerator by booting a kernel"),
    Step("programs", "builds programs for an image"),
    Step("image", "builds a scheduler's image with Packer"),
    Step("provision", "creates a cluster with Terraform and saves it"),
    Step("configure", "configures a cluster with Ansible and saves it"),
    Step("trial", "runs a workload on a restored cluster"),
    Step("tables", "makes the tables from the trials"),
    Step("figure", "draws the figures from the tables"),
    Step("report", "renders the report"),
)


DESCRIPTIONS = dict(STEPS)


class Execution(NamedTuple):
    """A stage as it was run.

    Parameters
    ----------
    step : str
        Name of its step.
    title : str
        What it made.
    result : str
        Path in the bundle of its record, or a folder of records (with a slash at the end).
    start, end : str
        ISO 8601.
    """

    step: str
    title: str
    result: str
    start: str
    end: str


def execution(record: Mapping[str, Any], result: str) -> Execution:
    """What a record says of its stage's execution."""
    start = datetime.fromisoformat(str(record["created"]))
    end = start + timedelta(seconds=float(record.get("duration") or 0))
    return Execution(
        str(record["stage"]),
        f"{record['stage']} {record['id']}",
        result,
        start.isoformat(),
        end.isoformat(timespec="seconds"),
    )


def with_analysis(executions: list[Execution], date: str) -> list[Execution]:
    """Stages after the trials leave no record: they are told with the date of the newest one."""
    used = {run.step for run in executions}
    after = [
        Execution("tables", "tables", f"{RESULTS}/tables/", date, date),
        Execution("figure", "figures", f"{RESULTS}/figures/", date, date),
        Execution("report", "report", f"{RESULTS}/report.html", date, date),
    ]
    return [*executions, *(run for run in after if run.step not in used)]
