"""The knee that is predicted where the limiter is lifted (SYNTHETIC trials)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from search_factory import cell

from schedlab.metrics.confirmation import Lifting, confirmations, limiters
from schedlab.metrics.limiter import of_cell
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.limits import Limit
from schedlab.stages.decision import unless_limited

SLURM = {
    "SchedulerParameters": "defer,sched_min_interval=100000,sched_interval=10,"
    "batch_sched_delay=10,bf_interval=-1"
}
BACKFILL = {"SchedulerParameters": "sched_interval=-1,bf_interval=10"}
PLANTED = [
    # 4 places a period; lifted, a place is held for 1 s and half a period: the next bound.
    ("slurm", SLURM, "SchedulerParameters", 0.4, 4 / 1.5),
    ("slurm", BACKFILL, "SchedulerParameters", 0.4, 4 / 1.5),
    # Two cycles a job: 4 / 10; lifted, 4 places each 0.5 + (1 + 0.25) s.
    ("volcano", {"schedulePeriod": "5s"}, "schedulePeriod", 0.4, 4 / 1.75),
    # Ten times the depth; the processors would do 4 jobs/s.
    ("flux", {}, "queueDepth", 0.3, 3.0),
    ("flux", {}, "queueDepth", 1.0, 4.0),
]


@pytest.mark.parametrize(("name", "settings", "setting", "knee", "expected"), PLANTED)
@pytest.mark.parametrize(("off", "confirmed"), [(1.1, True), (0.7, False)])
def test_a_planted_limit_is_named_lifted_predicted_and_compared(
    name: str,
    settings: dict[str, str],
    setting: str,
    knee: float,
    expected: float,
    off: float,
    confirmed: bool,
) -> None:
    before = get_scheduler(name, settings)
    (lift,) = [lift for lift in before.lifts() if setting in lift.settings]
    after = get_scheduler(name, {**before.in_force, **lift.settings})
    assert not after.settings_problems(lift.settings)
    old, new = (one.limits(one.in_force, {}) for one in (before, after))
    base = cell(old, knee, 1.0)
    named = of_cell(pd.DataFrame(base))
    assert named is not None and named.lift == setting
    told = unless_limited(base, new)
    assert told["predicted"] == pytest.approx(expected) and told["limiter"] == named.name
    other = cell(new, off * expected, 1.0, cluster="b")
    trials = pd.DataFrame([*base, *other])
    (found,) = confirmations(
        trials, limiters(trials), [Lifting("a", "b", frozenset(lift.settings), {})]
    )
    assert (found.cluster, found.other, found.setting) == ("a", "b", setting)
    assert found.predicted == told["predicted"] and found.why == told["why"]
    assert found.confirmed is confirmed


REQUESTS = [Limit("requests of x", "xQps", 5.0, 450.0)]
QUOTA = [Limit("time of x", "CPUQuota", None, None, (), 0.1, "x")]


@pytest.mark.parametrize(
    ("before", "after", "changes", "expected", "why"),
    [
        # Ten times the requests would be 5 jobs/s, but 4 places are held for 3 s each.
        (REQUESTS, {"per_second": 50.0}, {}, 4 / 3, "jobs hold all processors, each for 3 s"),
        (REQUESTS, {"per_second": 12.5}, {}, 1.25, "xQps is 2.5 times as large"),
        (REQUESTS, {"per_second": 50.0}, {"utilisation_steady": 0.5}, 1.0, "50 % of it were"),
        (QUOTA, {"cores": 0.4}, {}, 4 / 3, "jobs hold all processors, each for 3 s"),
    ],
)
def test_a_prediction_is_no_more_than_the_processors_allow(
    before: list[Limit], after: dict[str, float], changes: dict[str, Any], expected: float, why: str
) -> None:
    cost = {"node": "head", "process": "x", "group": "scheduler", "cpu_s": 9.9}
    base = [one | {"daemon_cost": [cost]} | changes for one in cell(before, 0.5, 3.0)]
    # An invalid trial says nothing of the machine.
    base.append(base[0] | {"valid": False, "utilisation_steady": 1.0, "rate": 9.0})
    told = unless_limited(base, [before[0]._replace(**after)])
    assert told["predicted"] == pytest.approx(expected) and why in told["why"]
    if expected != 1.25:
        assert "which alone allows" in told["why"]


def test_of_a_quota_jobs_hold_processors_for_the_least_time_that_was_seen() -> None:
    """The daemon that lacks processor time also launches and ends jobs."""
    cost = {"node": "head", "process": "x", "group": "scheduler", "cpu_s": 9.9}
    base = [one | {"daemon_cost": [cost]} for one in cell(QUOTA, 0.5, 5.0)]
    base[0]["held_mean_s"] = 3.0
    told = unless_limited(base, [QUOTA[0]._replace(cores=0.2)])
    assert told["predicted"] == pytest.approx(1.0)
