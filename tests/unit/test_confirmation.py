"""Knees where a limiter is lifted, compared with what was predicted (SYNTHETIC trials)."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from search_factory import PARTS, step

from schedlab.metrics.confirmation import (
    Lifting,
    Prediction,
    Unlifted,
    confirmations,
    limiters,
)
from schedlab.report.saturation_section import saturation
from schedlab.schedulers.limits import Limit
from schedlab.stages.decision import unless_limited


def cell(cluster: str, per_second: float, knee: float) -> list[dict[str, Any]]:
    """Two steps of a search whose limiter is a client's limit."""
    limit = {"name": "x", "setting": "xQps", "per_second": per_second, "counted": 9.5 * per_second}
    common = PARTS | step(
        cluster, adapter="made", limits=json.dumps([limit]), utilisation_steady=0.25,
        observed_s=10.0, daemon_cost=[], precision=0.04, why_not=["queue"],
    )  # fmt: skip
    # A queue that grows by 2 % of the arrivals does not count as growing.
    return [common | {"rate": knee / 0.98 / 1.02, "sustained": True, "why_not": []},
            common | {"rate": knee / 0.98 * 1.02, "sustained": False}]  # fmt: skip


def lifting(**recorded: Prediction) -> list[Lifting]:
    return [Lifting("a", "b", frozenset({"xQps"}), recorded)]


@pytest.mark.parametrize(
    ("lifted", "knee", "predicted", "why", "confirmed"),
    [
        (10.0, 5.5, 5.0, "xQps is 2 times", True),
        (10.0, 3.0, 5.0, "xQps is 2 times", False),
        # At four times the rate the machine, which is a quarter busy, is full.
        (50.0, 10.5, 10.0, "the machine is full", True),
    ],
)
def test_lifting_a_limiter_is_compared_with_the_prediction(
    lifted: float, knee: float, predicted: float, why: str, confirmed: bool
) -> None:
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", lifted, knee)])
    (found,) = confirmations(trials, limiters(trials), lifting())
    assert (found.cluster, found.other, found.setting) == ("a", "b", "xQps")
    assert not found.before
    assert found.predicted == pytest.approx(predicted)
    assert why in found.why
    assert found.confirmed is confirmed


@pytest.mark.parametrize(("ends_jobs", "predicted"), [(True, 4 / 0.28), (False, 4.0)])
def test_a_lifted_limit_no_longer_lengthens_the_ends_of_jobs(
    *, ends_jobs: bool, predicted: float
) -> None:
    """4 places, held for 1 s of which ends take 0.8 s, and for 9 s where jobs queue to end."""
    limit = Limit("x", "xQps", 5.0, 47.5, ends_jobs=ends_jobs)._asdict()
    common = {"limits": json.dumps([limit]), "places": 4.0, "utilisation_steady": 0.01}
    waits = [{"held_mean_s": 1.0, "completion_mean_s": 0.8}, {"held_mean_s": 9.0}]
    base = [row | common | held for row, held in zip(cell("a", 5.0, 2.5), waits, strict=True)]
    if not ends_jobs:
        # The bound of a client that ends no job is that of the step that failed.
        base[1] |= waits[0]
    told = unless_limited(base, [Limit("x", "xQps", 50.0, None, ends_jobs=ends_jobs)])
    # In 0.28 s, since the ends take a tenth of 0.8 s.
    assert told["predicted"] == pytest.approx(predicted)
    assert "hold all processors" in told["why"]


def test_what_was_predicted_before_is_judged_and_not_what_follows_now() -> None:
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", 10.0, 7.4)])
    recorded = lifting(knee=Prediction(7.0, "told before"))
    (found,) = confirmations(trials, limiters(trials), recorded)
    assert (found.predicted, found.why, found.before) == (7.0, "told before", True)
    assert found.confirmed is True


def test_the_submitters_ceiling_bounds_what_was_predicted_before() -> None:
    null = [row | {"payload": False, "limits": "[]"} for row in cell("null", 1.0, 5.5)]
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", 10.0, 5.4), *null])
    recorded = lifting(knee=Prediction(9.0, "told before"))
    (found,) = confirmations(trials, limiters(trials), recorded)
    assert found.predicted == pytest.approx(5.5) and "submitter" in found.why
    assert not found.before


@pytest.mark.parametrize(
    ("per_second", "pairs"),
    [(6.0, []), (10.0, [Lifting("a", "b", frozenset({"yQps"}), {})]), (10.0, [])],
)
def test_cells_that_do_not_lift_the_limiter_are_no_pair(
    per_second: float, pairs: list[Lifting]
) -> None:
    """A limit that grows by a fifth, another limit, clusters that differ in more."""
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *cell("b", per_second, 2.5)])
    assert not confirmations(trials, limiters(trials), pairs or lifting() * (per_second == 6.0))


@pytest.mark.parametrize(
    ("first", "sustained", "confirmed", "told"),
    [
        (3.0, True, None, "at least 2.94 (even the highest rate is sustained)"),
        (9.0, True, False, "at least 8.82 (even the highest rate is sustained)"),
        (9.0, False, None, "less than 8.82 (not even the lowest rate is sustained)"),
        (3.0, False, False, "less than 2.94 (not even the lowest rate is sustained)"),
    ],
)
def test_a_knee_beyond_the_ladder_is_judged_as_a_bound(
    first: float, sustained: bool, confirmed: bool | None, told: str
) -> None:
    """5 jobs/s are predicted: at least 8.8 is not that, nor less than 2.9."""
    other = cell("b", 10.0, 1.0)[0 if sustained else 1] | {"rate": first}
    ladder = [other, other | {"rate": first / 2}][: 1 + sustained]
    trials = pd.DataFrame([*cell("a", 5.0, 2.5), *ladder])
    (found,) = confirmations(trials, limiters(trials), lifting())
    assert found.predicted == pytest.approx(5.0) and found.confirmed is confirmed
    (row,) = saturation(trials, lifting())["confirmations"]
    assert row["found"] == told


def test_what_a_trial_counted_does_not_make_a_limit_another_one() -> None:
    """A variant that lifts another limit leaves this one as it is, not a little lifted."""
    told = Limit("x", "xQps", 5.0, 45.0, seconds=9.0, client="the busiest part of x")
    base = [one | {"limits": json.dumps([told._asdict()])} for one in cell("a", 5.0, 2.5)]
    found = unless_limited(base, [Limit("x", "xQps", 5.0, None), Limit("y", "yQps", 50.0, None)])
    assert found["run"] is False and found["why"] == Unlifted.OTHER.value


def test_another_limiter_needs_no_confirmation() -> None:
    base = cell("a", 5.0, 2.5)
    told = unless_limited(base, [Limit("x", "xQps", 50.0, None)])
    assert (told["limiter"], told["predicted"]) == ("limit of x", pytest.approx(10.0))
    assert unless_limited(base, [Limit("y", "yQps", 50.0, None)])["run"] is False
    assert unless_limited([], [Limit("x", "xQps", 50.0, None)])["run"] is False
