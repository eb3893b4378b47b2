"""Jobs that run at one time on virtual nodes: how many there can be, and what memory they need."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from config_factory import load, refusal

from schedlab.config.crowding import Shape, at_once, most_ranks, most_wide
from schedlab.workloads import Job, Machine, Trace

TWO = {"carriers": 2}
THOUSAND = {
    "nodes": [1024],
    "virtual": TWO | {"carrier": {"memory": "4352 MiB"}},
    "head": {"memory": "1664 MiB"},
    "limits": {"memory": "11 GiB"},
}
GANG = {"name": "g", "kind": "gang"}
MIX = {
    "name": "m",
    "kind": "mix",
    "parts": [
        {"user": "ann", "workload": {"kind": "gang", "jobs": 6}},
        {"user": "bob", "workload": {"kind": "burst", "jobs": 400}},
    ],
}


def trace(machine: Machine, *jobs: tuple[float, int, int, float], **keys: Any) -> Trace:
    """Trace of jobs given as arrival, nodes, processors of each, runtime."""
    made = [
        Job(number, arrival, nodes, cpus, runtime, walltime=60 + 2 * runtime, **keys)
        for number, (arrival, nodes, cpus, runtime) in enumerate(jobs)
    ]
    return Trace("w", "burst", 1, machine, tuple(made))


def test_jobs_of_the_whole_machine_exclude_each_other(tmp_path: Path) -> None:
    """They need no memory beyond one job a node, however many of them wait."""
    (line,) = refusal(tmp_path, workloads=[GANG], **THOUSAND)
    # But what leads a job of several nodes: two of them, on half of the nodes each.
    assert "lead 2 jobs of several nodes there" in line
    assert f"set it to {256 + 512 * 8 + 2 * 4} MiB or more" in line
    larger = THOUSAND | {"virtual": TWO | {"carrier": {"memory": "4360 MiB"}}}
    load(tmp_path, workloads=[GANG], **larger)
    experiment = load(tmp_path, workloads=[GANG], nodes=[300], virtual=TWO)
    machine = experiment.clusters()[0].machine
    assert at_once(experiment.workload("g").generate(machine, 1)).ranks == 300


def test_a_burst_runs_on_as_many_processors_as_there_are(tmp_path: Path) -> None:
    burst = {"name": "b", "kind": "burst", "jobs": 5000, "runtime": 0}
    line, together = refusal(tmp_path, workloads=[burst], **THOUSAND)
    assert "workload b can run 1024 ranks of jobs at one time on a carrier with 512 virtual" in line
    assert f"{256 + 512 * 8 + 512 * 4} MiB or more" in line
    # What the carriers have to have is counted in the same round.
    assert f"{2 * (256 + 512 * 8 + 512 * 4) + 1664} MiB or more" in together
    load(tmp_path, workloads=[burst | {"jobs": 1000}], **THOUSAND)


def test_the_largest_machine_is_looked_at_however_many_jobs_the_smaller_ones_have(
    tmp_path: Path,
) -> None:
    bursts = [{"name": f"b{n}", "kind": "burst", "jobs": 9000, "runtime": 0} for n in range(6)]
    keys = THOUSAND | {
        "virtual": TWO | {"carrier": {"memory": "3 GiB"}},
        "node": {"vcpus": 64},
        "workloads": bursts,
    }
    for nodes in ([1024], [2, 1024]):
        lines = [line for line in refusal(tmp_path, **keys | {"nodes": nodes}) if "b5" in line]
        assert len(lines) == 1
        assert "can run 4500 ranks of jobs at one time on a carrier with 512 virtual" in lines[0]
        assert "20304 MiB or more" in lines[0]


def test_a_mix_has_wide_jobs_only_where_narrow_ones_leave_room(tmp_path: Path) -> None:
    """400 jobs of one processor and a gang on 600: no half of the machine runs beside all 400.

    With 250 of them it would be 250 + 150. The bound takes at most the processors that are left.
    """
    experiment = load(tmp_path, workloads=[MIX], nodes=[300], virtual=TWO)
    machine = experiment.clusters()[0].machine
    assert 400 <= at_once(experiment.workload("m").generate(machine, 1)).ranks <= 400 + 200 / 2
    # All of them, one after another, would be 400 + 3 x 300 + 3 x 150 ranks.
    (line,) = refusal(
        tmp_path, workloads=[MIX], nodes=[300], virtual=TWO | {"carrier": {"memory": "1536 MiB"}}
    )
    assert "can run 250 ranks of jobs at one time on a carrier with 150 virtual nodes" in line


@pytest.mark.parametrize(
    ("machine", "jobs", "ranks"),
    [
        # One after another, in time.
        (Machine(2, 4), [(0, 1, 1, 5.0), (5, 1, 1, 5.0)], 1),
        (Machine(2, 4), [(0, 1, 1, 5.0), (4, 1, 1, 5.0)], 2),
        # No runtime: a second.
        (Machine(2, 4), [(0, 1, 1, 0.0), (0.5, 1, 1, 0.0)], 2),
        # Narrow jobs that wait for a wide one all start at its end.
        (Machine(2, 4), [(0, 2, 4, 100.0)] + [(10.0 * n, 1, 1, 5.0) for n in range(1, 9)], 8),
        # A job of the whole machine runs in the place of the others, not beside them.
        (Machine(4, 4), [(0, 1, 1, 5.0)] * 8 + [(0, 4, 4, 5.0)], 8),
        # A node has three processors, so one rank of two.
        (Machine(4, 3), [(0, 1, 2, 5.0)] * 9, 4),
        (Machine(4, 3), [(0, 1, 2, 5.0)] * 9 + [(0, 1, 1, 5.0)] * 3, 7),
    ],
)
def test_ranks_at_one_time(
    machine: Machine, jobs: list[tuple[float, int, int, float]], ranks: int
) -> None:
    assert at_once(trace(machine, *jobs)).ranks == ranks


def test_a_background_takes_its_processors_and_the_jobs_that_wait_never_run() -> None:
    machine = Machine(4, 4)
    filled = Job(0, 0.0, 4, 2, 86_400.0, walltime=90_000.0, background=True)
    waiting = Job(1, 1.0, 4, 4, 86_400.0, walltime=90_000.0, background=True, priority=-1)
    jobs = tuple(Job(number, 2.0, 1, 1, 5.0) for number in range(2, 40))
    found = Trace("w", "burst", 1, machine, (filled, waiting, *jobs))
    assert at_once(found) == (4 + 8, 1)


def test_a_job_is_not_counted_before_those_that_it_runs_after() -> None:
    first = [Job(number, 0.0, 1, 1, 5.0) for number in range(3)]
    second = [Job(number, 0.0, 1, 1, 5.0, after=(0, 1, 2)) for number in range(3, 8)]
    assert at_once(Trace("w", "burst", 1, Machine(4, 4), (*first, *second))).ranks == 5


def test_each_job_of_several_nodes_is_led_by_a_process_more(tmp_path: Path) -> None:
    """All on one of two carriers: the first of two neighbours is always on the same one."""
    pairs = {"name": "p", "kind": "poisson", "jobs": 512, "rate": 500.0, "runtime": 60.0}
    keys = THOUSAND | {"node": {"vcpus": 1}, "workloads": [pairs | {"sizes": [2]}]}
    line, _ = refusal(tmp_path, **keys)
    assert "can run 512 ranks of jobs at one time on a carrier with 512 virtual nodes" in line
    assert "and lead 512 jobs of several nodes there" in line
    assert f"set it to {256 + 512 * 8 + 512 * 4} MiB or more" in line
    # Jobs of one node have no more than their rank, and Kubernetes has no such process.
    load(tmp_path, **keys | {"workloads": [pairs | {"sizes": [1]}]})
    load(tmp_path, **keys | {"schedulers": ["volcano"]})


def test_the_bound_is_never_below_what_fits_and_close_to_it() -> None:
    """Against all subsets of small sets of jobs, by their processors alone."""
    random_ = random.Random(7)
    machine = Machine(4, 4)
    over = 0
    for _ in range(300):
        shapes = [Shape(random_.randint(1, 4), random_.randint(1, 4)) for _ in range(7)]
        exact = max(
            sum(shape.nodes for shape in some)
            for number in range(8)
            for some in itertools.combinations(shapes, number)
            if sum(shape.cores for shape in some) <= machine.cores
            and sum(shape.nodes for shape in some if shape.cpus > 2) <= machine.nodes
        )
        wide = max(
            sum(shape.nodes > 1 for shape in some)
            for number in range(8)
            for some in itertools.combinations(shapes, number)
            if sum(shape.cores for shape in some) <= machine.cores
            and sum(shape.nodes for shape in some if shape.cpus > 2) <= machine.nodes
        )
        assert wide <= most_wide(Counter(shapes), machine) <= wide + 2
        bound = most_ranks(Counter(shapes), machine)
        assert exact <= bound <= exact + 4
        over += bound - exact
    assert over < 300
