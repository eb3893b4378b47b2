"""The scheduling cycles of Slurm: periods and depths from SchedulerParameters.

Of the parameters those count that slurm.conf(5) describes as limiting when a cycle begins and how
many jobs it looks at; the code is in slurmctld's job_scheduler.c (`_sched_agent`, `_schedule`),
controller.c (`_slurmctld_background`) and proc_req.c (`_slurm_rpc_epilog_complete`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schedlab.schedulers.limits import LIFT, Cycle, Lift, Limit

PARAMETERS = "SchedulerParameters"

_DEFAULTS = {
    "sched_min_interval": 2,
    "sched_interval": 60,
    "batch_sched_delay": 3,
    "default_queue_depth": 100,
    "partition_job_depth": 0,
    "sched_max_job_start": 0,
    "bf_interval": 30,
    "bf_max_job_test": 500,
    "bf_max_job_start": 0,
}
_SHORTER = ("sched_interval", "batch_sched_delay", "bf_interval", "sched_min_interval")
_DEEPEST = {"bf_max_job_test": 1_000_000, "bf_max_job_start": 10_000}
_DEPTH = "default_queue_depth"
_SHORTEST = 1e-6
"""s; where no interval is set, cycles follow one another."""
_POLL = 1.0
"""s between two looks of slurmctld's background loop at what is due."""


def limits(settings: Mapping[str, Any]) -> list[Limit]:
    """The main and the backfill cycle, by keys of slurm.conf.

    The end of a job begins a main cycle, but not before sched_min_interval has passed since the
    last one. With `defer` it does not: the background loop begins them, after batch_sched_delay, or
    after sched_interval one over the whole queue.
    """
    value = {key.lower(): str(text) for key, text in settings.items()}
    text = value.get(PARAMETERS.lower())
    if text is None:
        return []
    of, cycles = _numbers(text), []
    if of["sched_interval"] >= 0:  # -1 disables them
        cycles.append(_main(of, deferred="defer" in text.lower()))
    if "backfill" in value.get("schedulertype", "sched/backfill") and of["bf_interval"] > 0:
        depth = _least(of["bf_max_job_test"], of["bf_max_job_start"])
        cycles.append(Cycle(float(of["bf_interval"]), depth))
    words = "scheduling cycles of slurmctld (SchedulerParameters)"
    return [Limit(words, PARAMETERS, None, None, tuple(cycles))] if cycles else []


def _main(of: Mapping[str, int], *, deferred: bool) -> Cycle:
    """Main cycle; those over the whole queue leave default_queue_depth out."""
    period = of["sched_min_interval"] * 1e-6
    depths = [of["partition_job_depth"], of["sched_max_job_start"]]
    whole = deferred and of["sched_interval"] <= of["batch_sched_delay"]
    if deferred:
        period = max(period, _POLL, min(of["batch_sched_delay"], of["sched_interval"]))
    return Cycle(max(period, _SHORTEST), _least(*depths, *([] if whole else [of[_DEPTH]])))


def lifts(text: str) -> list[Lift]:
    """Periods of SchedulerParameters a tenth as long, at least of one unit; depths ten times."""
    found, left = [], dict(_DEFAULTS)
    for entry in text.split(","):
        name, _, number = entry.partition("=")
        key = name.strip().lower()
        if left.pop(key, None) is not None and number.strip().isdecimal():
            entry = f"{name}={_lifted(key, int(number))}"
        found.append(entry)
    # What is not written has its default; 0 is no limit.
    found += [f"{key}={_lifted(key, default)}" for key, default in left.items() if default]
    changed = ",".join(entry for entry in found if entry.strip())
    return [Lift("cycle", {PARAMETERS: changed})]


def _lifted(key: str, number: int) -> int:
    if key in _SHORTER:
        return max(min(number, 1), round(number / LIFT))
    return min(number * LIFT, max(number, _DEEPEST.get(key, 10**9)))


def _numbers(text: str) -> dict[str, int]:
    """Values in force of the parameters; one that is no number counts as its default."""
    written = {
        name.lower(): int(number) for name, number in re.findall(r"(\w+)=(-?\d{1,9})\b", text)
    }
    return _DEFAULTS | {name: number for name, number in written.items() if name in _DEFAULTS}


def _least(*depths: int) -> int | None:
    """Smallest depth; 0 is no limit."""
    return min((depth for depth in depths if depth > 0), default=None)
