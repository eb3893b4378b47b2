"""What a trial that provokes a fault cannot measure because of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedlab.tables.checks import Check
from schedlab.tables.schemas import FAILED

COSTS = ("scheduler_cpu_s", "scheduler_cpu_per_job_s", "scheduler_peak_rss_bytes")
"""Metrics from counters that begin anew with a daemon or with its unit."""


def fault_checks(fault: Mapping[str, Any]) -> list[Check]:
    """Withhold the costs of daemons that the trial itself restarted; none of another fault.

    Parameters
    ----------
    fault : mapping
        The record's, see `schedlab.stages.faults.Injection.facts`; empty without a fault.
    """
    daemons = list(fault.get("restarts", ())) if fault.get("begin") else []
    if not daemons:
        return []
    said = (
        f"the trial itself restarted {', '.join(daemons)}, whose counters then begin anew:"
        " processor time and memory of the scheduler withheld"
    )
    number = float(len(daemons))
    return [Check("daemons that the trial restarted", number, 0.0, "1", FAILED, said, COSTS)]
