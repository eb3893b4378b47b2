"""How many jobs cycles start: the formula, and a simulation of them."""

from __future__ import annotations

import random
from itertools import starmap
from typing import Any

import pytest

from schedlab.metrics.cycles import Places, cycle_rate
from schedlab.schedulers.limits import Cycle, Limit, cycle_time


def started(
    period: float, jobs: int | None, places: int, held: float, turns: int, varies: float = 0.5
) -> float:
    """Jobs/s that a simulated scheduler starts, whose queue never ends.

    A job's first cycle takes a place, its last one starts it; held times vary by a part, by half.
    """
    least, most = 1 - varies, 1 + varies
    chance, cycles = random.Random(5), 4000
    admitted: list[int] = []
    free = [0.0] * places
    count = 0
    for number in range(cycles):
        now, looked = number * period, 0
        while admitted and (jobs is None or looked < jobs) and number >= admitted[0]:
            admitted.pop(0)
            looked += 1
            count += 1
            free.append(now + held * chance.uniform(least, most))
        there = [end for end in free if end <= now]
        for end in there[: None if jobs is None else jobs - looked]:
            free.remove(end)
            if turns == 1:
                count += 1
                free.append(now + held * chance.uniform(least, most))
            else:
                admitted.append(number + turns - 1)
    return count / (cycles * period)


@pytest.mark.parametrize(
    ("period", "jobs", "places", "held", "turns"),
    [
        (10.0, None, 4, 1.0, 1),  # a cycle starts what the machine holds
        (10.0, 2, 4, 1.0, 1),  # a cycle looks at two jobs
        (1.0, None, 4, 8.0, 1),  # jobs outlast the cycles
        (0.01, 500, 4, 2.0, 1),  # the period is no limit
        (5.0, None, 4, 1.0, 2),  # admitted in one cycle, started in the next
        (0.5, None, 4, 4.0, 2),
    ],
)
def test_cycles_start_as_many_jobs_as_the_formula_says(
    period: float, jobs: int | None, places: int, held: float, turns: int
) -> None:
    found = cycle_rate([Cycle(period, jobs, turns)], Places(places, held))
    assert found == pytest.approx(started(period, jobs, places, held, turns), rel=0.1)


@pytest.mark.parametrize(
    ("held", "true", "said"),
    [
        (4.0, 0.4, 0.4),
        (9.0, 0.4, 0.2857),
        (11.0, 0.2, 0.25),
        (19.0, 0.2, 0.1667),
        (91.0, 0.04, 0.0417),
    ],
)
def test_the_formula_is_off_by_what_is_said_where_jobs_follow_the_cycles(
    held: float, true: float, said: float
) -> None:
    period, places = 10.0, 4
    found = cycle_rate([Cycle(period)], Places(places, held))
    # Places that become free by one fixed time wait for the cycle that comes then.
    constant = started(period, None, places, held, 1, varies=0.0)
    assert constant == pytest.approx(true, rel=0.01) and found == pytest.approx(said, rel=0.01)
    low, high = places / (held + period), places / max(period, held)
    assert found is not None and low < found <= high and 0.99 * low < constant < 1.01 * high


def test_the_rates_of_loops_beside_one_another_add_up() -> None:
    found = cycle_rate([Cycle(10.0), Cycle(30.0, 1)], Places(4, 0.1))
    assert found == pytest.approx(4 / 10 + 1 / 30)
    assert cycle_rate([Cycle(None, 8)], Places(4, 0.1)) is None


@pytest.mark.parametrize(
    ("cycles", "seconds"),
    [
        ([(10.0, None)], 10.0),
        ([(10.0, None), (30.0, 500)], 7.5),
        ([(10.0, None), (2e-6, 2)], 2e-6),
        ([(10.0, None), (None, 8)], 0.0),
        ([(None, 8)], 0.0),
        ([], 0.0),
    ],
)
def test_the_time_between_two_cycles_is_that_of_all_loops(cycles: Any, seconds: float) -> None:
    limits = [
        Limit("x", "x", 5.0, None),
        Limit("y", "y", None, None, tuple(starmap(Cycle, cycles))),
    ]
    assert cycle_time(limits) == pytest.approx(seconds, rel=1e-3)
