"""`schedlab analyse`: a recorded trace without a cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from swf_factory import HEADER, NASA, line

from schedlab.analysis.recorded import Recorded, busy, metrics, queue, read_recorded
from schedlab.cli.main import main
from schedlab.metrics.intervals import Steps, means


def run(path: Path, *arguments: str) -> Any:
    return CliRunner().invoke(main, ["analyse", str(path), *arguments])


def trace(folder: Path, *lines: str, processors: int = 4) -> Path:
    path = folder / "t.swf"
    path.write_text(f"; MaxProcs: {processors}\n" + "".join(lines))
    return path


def three(folder: Path) -> Path:
    """Job 1 holds 3 of 4 processors until 10; job 2 wants 2 from 2 on, and waits; job 3 fits."""
    return trace(
        folder,
        line(1, submit=0, wait=0, runtime=10, processors=3),
        line(2, submit=2, wait=8, runtime=10, processors=2, user=4, status=0),
        line(3, submit=4, wait=2, runtime=4, processors=1, status=5),
        line(2, submit=5, wait=0, runtime=4, processors=1, status=3),  # a part of another
    )


def test_metrics_by_hand(tmp_path: Path) -> None:
    found = metrics(read_recorded(three(tmp_path)))
    assert (found["jobs"], found["completed"], found["failed"], found["cancelled"]) == (3, 1, 1, 1)
    assert found["left_out"] == {"part of an interrupted job": 1}
    assert found["makespan_s"] == 20.0
    assert found["utilisation"] == pytest.approx((30 + 20 + 4) / 80)
    assert found["load"] == pytest.approx((30 + 20 + 4) / (4 * 4))
    # One processor is idle from 0 to 6 and 8 to 10; the job of one processor waits from 4 to 6.
    assert found["fragmentation"] == pytest.approx(2 / 80)
    assert found["queue_mean"] == pytest.approx((8 + 2) / 20)
    assert (found["queue_max"], found["queue_cores_max"]) == (2, 3)
    assert found["queue_cores_mean"] == pytest.approx((16 + 2) / 20)
    assert (found["wait_mean_s"], found["wait_max_s"]) == (pytest.approx(10 / 3), 8.0)
    assert found["bounded_slowdown_mean"] == pytest.approx((1 + 1.8 + 1) / 3)
    assert found["throughput_jobs_per_s"] == pytest.approx(1 / 20)


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_queue_is_that_of_the_step_function(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    submit = np.sort(rng.integers(0, 40, count)).astype(float)  # some at the same instant
    start = submit + rng.choice([0.0, 1.0, 7.0, 15.0], count)
    cores = rng.integers(1, 9, count).astype(float)
    users, status = rng.choice([-1.0, 0.0, 2.0**53], count), np.ones(count)
    known = np.ones(count, dtype=bool)
    jobs = Recorded(submit, start, start + 3.0, known, cores, users, status, 16, {})
    found = metrics(jobs)
    assert [found["queue_max"], found["queue_cores_max"]] == queue(jobs).level.max(
        axis=-1, initial=0.0
    ).tolist()


def test_fairness_does_not_depend_on_the_numbers_of_the_users(tmp_path: Path) -> None:
    """Small, large and unknown ones; a number that no user has makes no user."""

    def fairness(*users: int) -> Any:
        lines = [
            line(n, submit=0, wait=10 * n, runtime=10, user=user) for n, user in enumerate(users, 1)
        ]
        return metrics(read_recorded(trace(tmp_path, *lines)))["fairness_jain"]

    # Mean slowdowns (2 + 4) / 2 and 3.
    assert fairness(1, 2, 1) == pytest.approx(1.0)
    # Slowdowns 2, 3 and 4 of a user each.
    wanted = pytest.approx(9**2 / (3 * (4 + 9 + 16)))
    assert fairness(0, 3, 1) == fairness(5, 2**53, 7) == fairness(9, 8, 7, -1) == wanted
    assert fairness(4, 4, -1) is None


def test_what_the_trace_does_not_tell_is_none_and_not_zero(tmp_path: Path) -> None:
    path = trace(
        tmp_path, line(1, runtime=10, status=-1), line(2, submit=30, runtime=10, status=-1)
    )
    found = metrics(read_recorded(path, machine=64))
    assert found["wait_unknown"] == found["status_unknown"] == 2
    for name in ("wait_mean_s", "fragmentation", "queue_mean", "throughput_jobs_per_s",
                 "throughput_busy_jobs_per_s", "bounded_slowdown_mean"):  # fmt: skip
        assert found[name] is None, name
    assert found["utilisation"] is not None
    assert "2 jobs have no wait" in run(path).output


def rows(output: str) -> dict[str, str]:
    """Title of each row of the text -> what stands beside it."""
    return dict(
        re.split(r" {2,}", line, maxsplit=1) for line in output.splitlines() if "  " in line
    )


def test_each_row_without_a_value_has_its_own_reason(tmp_path: Path) -> None:
    path = trace(tmp_path, line(1, runtime=10, status=-1), line(2, runtime=10, wait=0, status=-1))
    found = rows(run(path, "--machine-size", "64").output)
    assert found["load that arrives"] == "– (all jobs were submitted at one instant)"
    assert found["utilisation, steady state"].startswith("– (most jobs start at one instant")
    assert found["completed jobs per second"] == "– (the trace tells of no job how it ended)"
    assert found["waiting jobs, mean"] == "– (wait unknown of 1 of 2 jobs)"
    assert found["idle while a waiting job fits"] == "– (wait unknown of 1 of 2 jobs)"
    assert found["wait, 99 %"] == "– (fewer than 100 jobs with a wait)"
    assert found["fairness between users (Jain)"] == "– (fewer than two known users with a wait)"
    assert found["wait, mean"] == "0 s"
    path = trace(tmp_path, line(1, runtime=10), line(2, submit=3, runtime=10))
    found = rows(run(path, "--machine-size", "64").output)
    assert found["wait, mean"] == found["bounded slowdown, mean"] == "– (no job has a wait)"
    path = trace(tmp_path, line(1, runtime=0, wait=0))
    found = rows(run(path).output)
    assert found["utilisation"] == "– (all jobs are over at the instant at which they come)"
    assert found["the same, median busy second"] == "– (no whole second has work)"
    assert not [title for title, text in found.items() if text == "–"]


def test_a_utilisation_above_1_is_marked_and_explained(tmp_path: Path) -> None:
    jobs = [line(n, submit=n, runtime=10, processors=2) for n in range(1, 5)]
    output = run(trace(tmp_path, *jobs, line(5, submit=5, runtime=10, processors=9))).output
    found = rows(output)
    assert found["utilisation"].endswith("(above 1: see below)")
    assert float(found["utilisation"].split()[0]) > 1
    last = output.splitlines()[-1]
    assert "records of jobs overlap on more processors than the machine has" in last
    assert "jobs without a wait count as started when submitted" in last
    assert "1 job took more processors than the machine has" in last
    assert "--machine-size" in last
    assert "above 1" not in run(three(tmp_path)).output


def texts(figure: Path) -> str:
    """Text of a figure, and its title."""
    found = ElementTree.parse(figure).getroot()
    return "\n".join(text.strip() for text in found.itertext() if text.strip())


def test_figures_say_what_they_show(tmp_path: Path) -> None:
    jobs = "".join(line(n, submit=n * 3600, runtime=10, processors=1) for n in range(1, 5))
    (tmp_path / "t.swf").write_text(
        "; MaxProcs: 4\n; UnixStartTime: 749458803\n; TimeZoneString: US/Pacific\n" + jobs
    )
    assert run(tmp_path / "t.swf", "--figures", str(tmp_path / "a")).exit_code == 0
    load = texts(tmp_path / "a" / "load.svg")
    assert "load of t.swf; wait unknown of 4 of 4 jobs" in load
    assert "dashed: the machine's 4" in load
    assert "count as started when submitted" in load.replace("\n", " ")
    arrivals = texts(tmp_path / "a" / "arrivals.svg")
    for label in ("hour of the day (h)", "time zone US/Pacific, of the log", "of all jobs (%)"):
        assert label in arrivals
    distributions = texts(tmp_path / "a" / "distributions.svg")
    assert "part with at most this value" in distributions
    assert "wait unknown of 4 of 4 jobs" in distributions


def test_figures_of_waits_that_are_all_known_do_not_say_that_they_are_not(tmp_path: Path) -> None:
    header = "; MaxProcs: 4\n; UnixStartTime: 749458803\n"
    (tmp_path / "t.swf").write_text(
        header + line(1, wait=0, runtime=10) + line(2, submit=9, wait=0)
    )
    assert run(tmp_path / "t.swf", "--figures", str(tmp_path / "a")).exit_code == 0
    load = texts(tmp_path / "a" / "load.svg")
    assert "unknown" not in load
    assert load.count("always 0") == 2
    assert "UTC: the log names no time zone" in texts(tmp_path / "a" / "arrivals.svg")
    path = trace(tmp_path, line(1, wait=0, runtime=10))
    assert run(path, "--figures", str(tmp_path / "b")).exit_code == 0
    assert "hours since the log's start" in texts(tmp_path / "b" / "arrivals.svg")


@pytest.mark.parametrize("start", ["", "; UnixStartTime: 0\n", "; UnixStartTime: -1\n"])
def test_hours_of_a_log_whose_start_is_unknown_are_not_those_of_its_day(
    tmp_path: Path, start: str
) -> None:
    """Its time zone alone does not say at which hour of the day it began."""
    header = f"; MaxProcs: 4\n{start}; TimeZoneString: US/Pacific\n"
    (tmp_path / "t.swf").write_text(header + line(1, wait=0, runtime=10))
    assert run(tmp_path / "t.swf", "--figures", str(tmp_path / "a")).exit_code == 0
    arrivals = texts(tmp_path / "a" / "arrivals.svg")
    assert "hours since the log's start" in arrivals and "time zone US/Pacific" in arrivals


@pytest.mark.parametrize("word", ["1e300", "nan", "inf", "soon", "-5"])
def test_a_wait_that_is_no_number_in_range_is_unknown(word: str, tmp_path: Path) -> None:
    odd = line(2, submit=5, wait=7777, runtime=10, processors=1).replace("7777", word)
    path = trace(tmp_path, line(1, wait=3, runtime=10, processors=1), odd)
    found = metrics(read_recorded(path, machine=4))
    assert found["wait_unknown"] == 1
    assert (found["wait_max_s"], found["makespan_s"]) == (3.0, 15.0)


def test_the_command_shows_text_json_and_figures(tmp_path: Path) -> None:
    path = three(tmp_path)
    text = run(path)
    assert text.exit_code == 0
    assert "utilisation" in text.output and "0.675" in text.output
    assert "left out: 1 line: part of an interrupted job" in text.output
    found = run(path, "--json", "--figures", str(tmp_path / "figures"))
    assert json.loads(found.stdout)["utilisation"] == pytest.approx(0.675)
    drawn = {p.name for p in (tmp_path / "figures").iterdir()}
    assert drawn == {"load.svg", "arrivals.svg", "distributions.svg"}
    assert json.loads(run(path, "--json", "--machine-size", "8").stdout)["cores"] == 8


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        (line(1), "names neither MaxProcs nor MaxNodes", "with --machine-size"),
        ("; MaxProcs: many\n" + line(1), "not a whole number", "with --machine-size, or correct"),
        (HEADER, "has no job that ran", "name a trace with jobs"),
        (HEADER + line(1, runtime="x"), "field 4", "or name a file in the Standard Workload"),
        # What is no trace at all is not told for its header.
        ("# Title\n", "2 fields instead of 18", "or name a file in the Standard Workload"),
        ("\x00\x01" * 300, "this is binary data, not a trace", "a text file in the Standard"),
    ],
)
def test_what_cannot_be_analysed_is_told(tmp_path: Path, text: str, what: str, remedy: str) -> None:
    """In words for a trace alone, without an experiment."""
    path = tmp_path / "t.swf"
    path.write_text(text)
    found = run(path)
    assert found.exit_code == 1
    told, _, done = found.output.partition("remedy: ")
    assert what in told and remedy in done
    assert "slice" not in done and "machine_size" not in done


def test_a_log_far_outside_the_calendar_still_has_figures(tmp_path: Path) -> None:
    path = trace(tmp_path, line(1, submit=10**15, wait=0, runtime=0))
    assert run(path, "--figures", str(tmp_path / "figures")).exit_code == 0


def test_the_mean_of_a_step_function() -> None:
    function = Steps(np.array([1.0, 3.0, 4.0]), np.array([2.0, 6.0, 0.0]))
    assert means(function, np.array([0.0, 2.0, 4.0, 6.0])).tolist() == [1.0, 4.0, 0.0]


def test_the_trace_of_the_benchmark_is_a_sound_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "benchmarks")
    from analyse import PROCESSORS, write_trace

    path = tmp_path / "t.swf"
    write_trace(path, 3000)
    jobs = read_recorded(path)
    assert jobs.submit.size == 3000 and jobs.waited.all()
    assert 0.9 * PROCESSORS < busy(jobs).level.max() <= PROCESSORS
    # Cancelled while running: evalys leaves these out.
    assert metrics(jobs)["cancelled"] > 0


@pytest.mark.skipif(not NASA.is_file(), reason=f"real trace absent: {NASA} (set SCHEDLAB_TRACES)")
def test_the_real_trace_has_its_published_utilisation() -> None:
    found = metrics(read_recorded(NASA))
    # Parallel Workloads Archive, page of the log: 18,239 jobs, utilisation 46.6 %.
    assert found["jobs"] == 18_239
    assert found["utilisation"] == pytest.approx(0.466, abs=0.001)
