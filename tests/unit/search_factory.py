"""Searches for the highest sustained rate: their experiment, and SYNTHETIC steps of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from schedlab.config import Experiment
from schedlab.schedulers.limits import Cycle, Limit
from schedlab.workloads.ladder import Step, next_rate

SPEC = {
    "name": "knee",
    "kind": "saturate",
    "workload": {"kind": "poisson", "jobs": 150, "runtime": 0.5},
    "rate": {"low": 0.5, "high": 8.0},
    "precision": "20 %",
}


def experiment(**changes: Any) -> Experiment:
    """Experiment of one search; `changes` replace top-level keys."""
    content = {"name": "s", "nodes": [1], "repetitions": 1, "workloads": [SPEC]}
    return Experiment.model_validate(content | changes)


def climbed(knee: float, low: float, high: float, precision: float) -> list[Step]:
    """Steps of a search on a cluster that sustains exactly the rates up to `knee`."""
    steps: list[Step] = []
    while (rate := next_rate(steps, low, high, precision)) is not None:
        steps.append(Step(rate, rate <= knee))
    return steps


PARTS = {f"{name}_mean_s": 0.1 for name in ("lateness", "submission", "scheduling", "launch")}
"""Mean parts of the wait, s, none of which is remarkable."""


def step(cluster: str, **columns: Any) -> dict[str, Any]:
    """Step of a search, as the table of trials has it."""
    return {
        "workload": "knee", "cluster": cluster, "scheduler": cluster, "nodes": 1,
        "search": 1, "snapshot": 1, "valid": True, "payload": True, "source": "",
        "conditions": "{}",
    } | columns  # fmt: skip


def _lowest(low: float | None, high: float | None) -> float | None:
    return low / 2 if low is not None and high is None else None


def searches(*brackets: tuple[float | None, float | None], **changes: Any) -> list[dict[str, Any]]:
    """Steps at the ends of the brackets of as many searches of one cell.

    A rate above which none is known was the ladder's highest: its lowest is half of that.
    """
    common = step("a-n1", scheduler="a", precision=0.2) | changes
    return [
        common
        | {"search": number, "rate": rate, "sustained": sustained}
        | {"why_not": ["queue"] * (not sustained)}
        for number, ends in enumerate(brackets, 1)
        for rate, sustained in zip((_lowest(*ends), *ends), (True, True, False), strict=True)
        if rate is not None
    ]


CYCLE = [Limit("cycles", "period", None, None, (Cycle(10.0),))]
DEPTH = [Limit("depth", "depth", None, None, (Cycle(None, 8),))]


def row(limits: Sequence[Limit], rate: float, held: float, **changes: Any) -> dict[str, Any]:
    """Step of a search in which jobs wait for their allocation."""
    common = PARTS | step(
        "a", adapter="made", daemon_cost=[], observed_s=100.0,
        limits=json.dumps([one._asdict() for one in limits]), utilisation_steady=0.05,
        scheduling_mean_s=9.0, completion_mean_s=0.2, held_mean_s=held, cores=4,
        processors_mean=1.0, achieved_rate_jobs_per_s=rate, rate=rate, sustained=False,
        precision=0.04, why_not=["queue"],
    )  # fmt: skip
    return common | changes


def cell(
    limits: Sequence[Limit], knee: float, held: float, cluster: str = "a"
) -> list[dict[str, Any]]:
    """Two such steps around a knee."""
    counts = knee / 0.98  # a queue that grows by 2 % of the arrivals does not count as growing
    return [
        row(limits, counts / 1.02, held, sustained=True, why_not=[], cluster=cluster),
        row(limits, counts * 1.02, held, cluster=cluster, achieved_rate_jobs_per_s=knee),
    ]
