"""The rates that a search tries, and the bracket that it ends with."""

from __future__ import annotations

import pytest
from search_factory import climbed

from schedlab.workloads.ladder import Bracket, Step, bracket, most_steps, next_rate


@pytest.mark.parametrize("knee", [1.0, 3.3, 47.0, 99.9])
@pytest.mark.parametrize("precision", [0.01, 0.05, 0.3])
def test_the_ladder_ends_around_the_knee_within_the_planned_steps(
    knee: float, precision: float
) -> None:
    steps = climbed(knee, 1.0, 100.0, precision)
    found = bracket(steps)
    assert found.low is not None and found.high is not None
    assert found.low <= knee < found.high
    assert found.high / found.low <= 1 + precision
    assert len(steps) < most_steps(1.0, 100.0, precision)


def test_a_knee_beyond_the_ends_ends_the_search() -> None:
    assert climbed(0.5, 1.0, 100.0, 0.05) == [Step(1.0, False)]
    assert climbed(500.0, 1.0, 100.0, 0.05) == [Step(1.0, True), Step(100.0, True)]


def test_a_step_of_unknown_outcome_is_made_again() -> None:
    assert next_rate([Step(1.0, True), Step(100.0, None)], 1.0, 100.0, 0.05) == 100.0


def test_of_contradictory_outcomes_the_lowest_failure_counts() -> None:
    steps = [Step(1.0, True), Step(8.0, False), Step(9.0, True)]
    assert bracket(steps) == Bracket(1.0, 8.0)
