"""Stages of the workflow for a bundle's metadata: what each does, and when it ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from schedlab.paths import FIGURES, REPORT, RESULTS, TABLES


class Step(NamedTuple):
    """A stage of the workflow: the name of its command, and what it does."""

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
    """One execution of a stage.

    Parameters
    ----------
    step : str
        Name of the step.
    title : str
        What the execution made.
    result : str
        Path of its record in the bundle, or a folder of records (ends with a slash).
    start, end : str
        Time of its start and of its end, ISO 8601.
    """

    step: str
    title: str
    result: str
    start: str
    end: str


def execution(record: Mapping[str, Any], result: str) -> Execution:
    """Return the execution that a record describes.

    Parameters
    ----------
    record : mapping
        Content of the record.
    result : str
        Path of the record in the bundle, or of a folder of records.
    """
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
    """Return the executions, and one for each stage of the analysis.

    The stages after the trials leave no record. Their time is the date of the newest record.

    Parameters
    ----------
    executions : list of Execution
        Executions with a record.
    date : str
        Date of the newest record, ISO 8601.
    """
    used = {run.step for run in executions}
    after = [
        Execution("tables", "tables", f"{RESULTS}/{TABLES}/", date, date),
        Execution("figure", "figures", f"{RESULTS}/{FIGURES}/", date, date),
        Execution("report", "report", f"{RESULTS}/{REPORT}", date, date),
    ]
    return [*executions, *(run for run in after if run.step not in used)]
