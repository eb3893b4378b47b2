"""Time lines for viewers of traces, from SYNTHETIC trials."""

from __future__ import annotations

import gzip
import json
from collections import Counter as Count
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from trial_factory import FAILED, START, make_experiment, make_results, make_trial

from schedlab.cli.main import main
from schedlab.config import TrialKey
from schedlab.errors import SchedlabError
from schedlab.results.store import Store
from schedlab.tables.trial_rows import read_trial
from schedlab.timeline import perfetto, speedscope
from schedlab.timeline.trial import PHASES, lanes, rate, read_timeline, sampled

GANG, SECOND = "slurm-n2.gang.1", 1_000_000_000


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    make_results(root)
    return root


def content(parts: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(parts))
    return found


def trace_of(results: Path, trial: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = content(perfetto.parts(read_timeline(Store(results), trial)))[
        "traceEvents"
    ]
    return events


def process_names(events: list[dict[str, Any]]) -> dict[int, str]:
    return {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}


@pytest.mark.parametrize("trial", [GANG, "slurm-n1.burst.1", FAILED])
def test_spans_of_a_thread_of_the_trace_nest(results: Path, trial: str) -> None:
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in trace_of(results, trial):
        if event["ph"] == "X":
            start = round(event["ts"] * 1000)
            span = (start, start + round(event["dur"] * 1000))
            threads[event["pid"], event["tid"]].append(span)
    assert threads
    for spans in threads.values():
        assert spans == sorted(spans, key=lambda span: (span[0], -span[1]))
        open_until: list[int] = []
        for start, end in spans:
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert start < end and (not open_until or end <= open_until[-1])
            open_until.append(end)


def test_each_job_has_its_phases_and_each_rank_its_node(results: Path) -> None:
    timeline = read_timeline(Store(results), GANG)
    rows = {row["job"]: row for row in read_trial(results / "trials/slurm-n2/gang/1").jobs}
    assert len(timeline.jobs) == len(rows) == 6
    for job in timeline.jobs:
        row = rows[job.number]
        assert (job.start, job.end) == (row["intended"], row["completed"])
        assert [phase.name for phase in job.phases] == list(PHASES)
        run = next(phase for phase in job.phases if phase.name == "run")
        assert (run.start, run.end) == (row["started"], row["finished"])
        ranks = [rank for rank in timeline.ranks if rank.job == job.number]
        assert sorted(rank.node for rank in ranks) == sorted(row["placement"])
        assert (min(r.start for r in ranks), max(r.end for r in ranks)) == (run.start, run.end)
    events = trace_of(results, GANG)
    names = process_names(events)
    on = Count(names[e["pid"]] for e in events if e["ph"] == "X" and "rank" in e["name"])
    assert on == Count(rank.node for rank in timeline.ranks)


def test_counters_are_loads_in_cores_and_the_queue_ends_empty(results: Path) -> None:
    events = trace_of(results, GANG)
    names = process_names(events)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            values[names[event["pid"]], event["name"]] += event["args"].values()
    assert values["head", "slurmctld load (cores)"] == pytest.approx(
        [0.12] * len(values["head", "slurmctld load (cores)"])
    )
    assert 0.2 <= values["compute1", "busy cores (cores)"][0] <= 0.6
    assert values["queue", "ended (jobs)"][-1] == 6
    assert values["queue", "running (jobs)"][-1] == values["queue", "waiting (jobs)"][-1] == 0
    assert max(values["queue", "running (jobs)"]) >= 1


def test_speedscope_adds_up_what_the_daemons_used(results: Path) -> None:
    timeline = read_timeline(Store(results), GANG)
    found = content(speedscope.parts(timeline))
    frames = [frame["name"] for frame in found["shared"]["frames"]]
    cost, phases, *nodes = found["profiles"]
    used: dict[str, float] = defaultdict(float)
    for stack, weight in zip(cost["samples"], cost["weights"], strict=True):
        used["/".join(frames[number] for number in stack)] += weight
    load = next(c for c in timeline.counters() if c.name == "slurmctld load")
    assert used["head/slurmctld"] == pytest.approx(0.12 * (len(load.points) - 1))
    assert {"head/munged", "compute1/slurmd"} <= set(used)
    assert sum(phases["weights"]) == sum(job.end - job.start for job in timeline.jobs)
    assert {profile["name"].split(",")[0] for profile in nodes} == {"compute1", "compute2"}
    for profile in nodes:
        kinds = [event["type"] for event in profile["events"]]
        assert kinds == ["O", "C"] * (len(kinds) // 2)
        at = [event["at"] for event in profile["events"]]
        assert at == sorted(at) and at[-1] <= profile["endValue"]


def test_what_did_not_end_lasts_until_it_was_last_seen(tmp_path: Path) -> None:
    experiment = make_experiment()
    make_trial(tmp_path, TrialKey("slurm-n1", "burst", 1), experiment, unfinished=2)
    timeline = read_timeline(Store(tmp_path), "slurm-n1.burst.1")
    late = [job for job in timeline.jobs if job.phases[-1].name == "no end seen"]
    assert [job.end for job in late] == [timeline.end] * 2
    waiting = next(c for c in timeline.counters() if c.name == "waiting")
    assert waiting.points[-1] == (timeline.end, 0.0) and waiting.points[-2][1] > 0


def test_a_trial_whose_guests_died_still_has_its_submissions(results: Path) -> None:
    timeline = read_timeline(Store(results), FAILED)
    assert not timeline.ranks and timeline.jobs
    assert [c.group for c in timeline.counters()] == ["queue"]
    assert content(speedscope.parts(timeline))["profiles"]


def series(metric: str, values: list[float], **labels: str) -> dict[str, Any]:
    first = START / SECOND
    return {
        "metric": metric,
        "labels": {"instance": "head", "job": "schedlab", **labels},
        "values": [(first + at, value) for at, value in enumerate(values, -1)],
    }


def test_only_the_schedulers_own_counters_that_changed_are_shown() -> None:
    found = list(
        sampled(
            [
                series("schedlab_slurm_sdiag", [1, 2, 3], counter="total_cycles"),
                series("schedlab_slurm_sdiag", [9, 7, 7], counter="last_cycle"),
                series("volcano_latency_bucket", [1, 2, 3], le="5"),
                series("volcano_latency_sum", [1, float("nan"), 3, 4]),
                series("up", [1, 0, 1]),
                series("node_load1", [1, 2, 3], job="node"),
                series("schedlab_unit_memory_bytes", [1, 2, 3], unit="slurmctld"),
            ],
            START,
        )
    )
    assert [(c.group, c.name) for c in found] == [
        ("scheduler", "schedlab_slurm_sdiag total_cycles"),
        ("scheduler", "volcano_latency_sum"),
    ]
    # What was sampled before the trial's start, and what is no number, is left out.
    assert found[0].points == [(0, 2), (SECOND, 3)]
    assert found[1].points == [(SECOND, 3), (2 * SECOND, 4)]


def test_a_counter_that_fell_has_no_rate_there() -> None:
    values = [(0, 1.0), (SECOND, 3.0), (2 * SECOND, 0.5), (4 * SECOND, 1.5)]
    assert rate(values) == [(0, 2.0), (2 * SECOND, 0.5)]


def test_lanes_are_as_few_as_overlaps_need() -> None:
    assert lanes([(0, 4), (1, 2), (2, 3), (3, 9), (4, 5)]) == [0, 1, 1, 1, 0]


def test_the_command_writes_a_packed_file_for_each_viewer(results: Path, tmp_path: Path) -> None:
    words = ["export", "--results", str(results), GANG, "--output", str(tmp_path / "new")]
    done = CliRunner().invoke(main, [*words, "--perfetto", "--speedscope"])
    assert done.exit_code == 0, done.output
    for path in done.output.split():
        with gzip.open(path, "rt") as text:
            assert isinstance(json.load(text), dict)
    assert CliRunner().invoke(main, words).exit_code == 2


def test_an_unknown_trial_is_told_with_those_there_are(results: Path) -> None:
    with pytest.raises(SchedlabError) as caught:
        read_timeline(Store(results), "slurm-n9.burst.1")
    assert GANG in str(caught.value)
