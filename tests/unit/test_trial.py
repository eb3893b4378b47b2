"""How a trial handles failures of its guest driver, tested without a guest."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schedlab.errors import Interrupted, SchedlabError
from schedlab.stages import trial as stage
from schedlab.stages.live import Live
from schedlab.stages.submitting import COMMAND_MIB, MOST_SUBMISSIONS, most_due, submissions_at_once
from schedlab.stages.timing import HostClock, Phases
from schedlab.stages.trial import Trial
from schedlab.testbed.prometheus import Server
from schedlab.workloads import Job, Machine, Trace

RESTORED = {"cluster": "slurm-n1", "nodes": [{"name": "head"}]}


def trial_of(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Trial, Any]:
    """A trial, and a head on which the driver is `program`."""
    made = Trial.__new__(Trial)
    limits = SimpleNamespace(trial=600.0)
    made.context = SimpleNamespace(experiment=SimpleNamespace(limits=limits))  # type: ignore[assignment]
    made.cluster = SimpleNamespace(id="slurm-n1")  # type: ignore[assignment]
    made.id, made.folder, made.reasons = "slurm-n1.burst.1", folder, []
    monkeypatch.setattr(stage, "require_running", lambda *_: None)
    command = [sys.executable, "-c", program]
    return made, SimpleNamespace(name="head", command=lambda *_: command)


def test_a_driver_that_failed_says_why_in_the_trials_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "schedlab_driver: job 1 could not be submitted: KeyError: 'argv'"
    made, head = trial_of(tmp_path, f"import sys; print({said!r}, file=sys.stderr); sys.exit(4)",
                          monkeypatch)  # fmt: skip
    # Its records are fetched first, because they have the times of its begin and end.
    status = made._drive(None, head, RESTORED, Live("slurm-n1.burst.1", 2))  # type: ignore[arg-type]
    with pytest.raises(SchedlabError) as caught:
        made._require_driver(head, status)
    assert said in str(caught.value)
    assert caught.value.node == "head"


def test_a_signal_is_no_reason_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal ends the driver, and no handler of failures catches it."""
    program = "import time; print('{}', flush=True); time.sleep(3600)"
    made, head = trial_of(tmp_path, program, monkeypatch)

    def stop(*_: object, **__: object) -> None:
        raise Interrupted(15)

    monkeypatch.setattr("builtins.print", stop)
    with pytest.raises(Interrupted):
        made._drive(None, head, RESTORED, Live("slurm-n1.burst.1", 2))  # type: ignore[arg-type]
    assert made.reasons == []


def test_a_fault_counts_from_the_drivers_first_line_and_ends_with_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '{"submitted": 1, "completed": 0, "total": 2}'
    made, head = trial_of(tmp_path, f"print('begun'); print({line!r})", monkeypatch)
    called: list[str] = []
    fault = SimpleNamespace(
        workload_begins=lambda: called.append("begins"),
        workload_ended=lambda: called.append("ended"),
    )
    live = Live("slurm-n1.burst.1", 2)
    assert made._drive(None, head, RESTORED, live, fault) == 0  # type: ignore[arg-type]
    assert called == ["begins", "ended"]


def test_the_cause_comes_before_what_follows_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export fails too, as it does if what failed took Prometheus with it."""
    made, _ = trial_of(tmp_path, "", monkeypatch)
    made.conditions, made.phases, made.host_clock = {"start_ns": 0}, Phases(), HostClock()
    silent = Server("http://127.0.0.1:1", "", tmp_path / "prometheus.log")
    with (
        pytest.raises(SchedlabError, match="Prometheus could not be asked: connection refused"),
        made._samples_kept(silent),
    ):
        raise SchedlabError("the guest compute1 died")
    assert made.reasons == ["the guest compute1 died"]


@pytest.mark.parametrize(
    ("arrivals", "most"),
    [([0.0] * 7, 7), ([0.0, 0.5, 1.0, 1.6, 2.1], 3), ([5.0], 1)],
)
def test_the_driver_is_ready_for_as_many_as_are_due_within_a_second(
    arrivals: list[float], most: int
) -> None:
    jobs = tuple(Job(number, arrival, 1, 1, 0.0) for number, arrival in enumerate(arrivals))
    assert most_due(Trace("w", "burst", 1, Machine(1, 1), jobs)) == most


def test_commands_are_bounded_by_the_heads_memory_and_requests_are_not() -> None:
    command: dict[str, Any] = {"argv": ["sbatch"], "request": None}
    request: dict[str, Any] = {"argv": [], "request": {"path": "/"}}
    assert submissions_at_once([request], 512) == MOST_SUBMISSIONS
    assert submissions_at_once([command, request], 1024) == 1024 // COMMAND_MIB
    assert submissions_at_once([command], 1 << 20) == MOST_SUBMISSIONS


@pytest.mark.parametrize("seconds", [-40.0, -1.5, 1.5, 5400.0])
def test_a_host_clock_that_was_set_makes_a_trial_invalid_and_no_record_unsound(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock = HostClock()
    before = clock.now()
    clock.require_unset("trial")
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + round(seconds * 1e9))
    assert before <= clock.now() < before + 60_000_000_000
    with pytest.raises(SchedlabError, match=re.escape(f"it is {seconds:+.1f} s away")) as caught:
        clock.require_unset("trial")
    assert caught.value.stage == "trial"
