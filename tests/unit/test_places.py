"""How many jobs a machine holds at one time (SYNTHETIC traces)."""

from __future__ import annotations

from typing import Any

import pytest

from schedlab.metrics.places import places
from schedlab.workloads import Job, Machine, Trace


def trace(machine: Machine, *shapes: tuple[int, int], taken: int = 0) -> Trace:
    """Trace of jobs of (nodes, processors on each)."""
    jobs = tuple(Job(n, 0.0, nodes, cpus, 1.0) for n, (nodes, cpus) in enumerate(shapes))
    scale: dict[str, Any] = {"bounded_slowdown_threshold": 10.0}
    if taken:
        scale |= {"background": {"cores": taken}}
    return Trace("t", "burst", 1, machine, jobs, scale)


@pytest.mark.parametrize(
    ("machine", "shapes", "taken", "expected"),
    [
        (Machine(2, 4), [(1, 1)], 0, 8.0),
        (Machine(1, 4), [(1, 3)], 0, 1.0),
        (Machine(2, 4), [(1, 3)] * 5, 0, 2.0),
        (Machine(2, 4), [(2, 2)], 0, 2.0),
        (Machine(3, 4), [(2, 4)], 0, 1.0),
        # Half of every node is taken.
        (Machine(2, 4), [(1, 1)], 4, 4.0),
        (Machine(2, 8), [(1, 3)], 4, 4.0),
        # One processor of one node is.
        (Machine(2, 4), [(1, 2)], 1, 3.0),
        (Machine(2, 4), [(1, 4)], 1, 1.0),
        # Jobs of 3 and of 1 fill a node together, those of 3 and of 2 do not.
        (Machine(1, 4), [(1, 3), (1, 1)], 0, 2.0),
        (Machine(3, 4), [(1, 3), (1, 2)], 0, 4.0),
        (Machine(2, 4), [(1, 2), (2, 2)], 0, 8 / 3),
    ],
)
def test_jobs_that_fit_at_one_time(
    machine: Machine, shapes: list[tuple[int, int]], taken: int, expected: float
) -> None:
    assert places(trace(machine, *shapes, taken=taken)) == pytest.approx(expected)


def test_ranks_that_start_one_by_one_need_no_room_for_whole_jobs() -> None:
    assert places(trace(Machine(3, 4), (2, 4)), gang=False) == pytest.approx(1.5)
