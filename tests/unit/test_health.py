"""What a health check tells while it waits, and when it gives up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from trial_factory import make_experiment

from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler
from schedlab.stages import health
from schedlab.testbed.ssh import Node

SCHEDULER = get_scheduler("slurm")
CLUSTER = make_experiment().cluster("slurm-n2")
COMMANDS = SCHEDULER.health(2, 2)


class Head(Node):
    """A head whose health commands fail some times before they succeed."""

    def __init__(self, failures: int) -> None:
        super().__init__("head", "192.0.2.1", "head", Path("none"))
        self.failures = failures
        self.asked: list[str] = []

    def run(
        self, command: str, *, timeout: float = 120.0, check: bool = True, stage: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.asked.append(command)
        if self.failures:
            self.failures -= 1
            return subprocess.CompletedProcess([], 1, "\x1b[31mno answer\n", "")
        return subprocess.CompletedProcess([], 0, "", "")


@pytest.fixture(autouse=True)
def _fast_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each look at the clock is ten seconds after the last."""
    now = iter(range(0, 10**6, 10))
    monkeypatch.setattr(health.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(health.time, "sleep", lambda _seconds: None)
    yield


def test_every_command_is_asked_until_it_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    head = Head(failures=1)
    health.health_gate(SCHEDULER, {"head": head}, CLUSTER, "trial", 500.0)
    assert head.asked == [COMMANDS[0], *COMMANDS]
    assert capsys.readouterr().out == ""


def test_a_long_wait_says_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    health.health_gate(SCHEDULER, {"head": Head(failures=8)}, CLUSTER, "trial", 500.0)
    lines = capsys.readouterr().out.splitlines()
    assert 1 < len(lines) < 8
    assert lines[0].startswith(f"waiting for `{COMMANDS[0][:190]}")
    assert "...` (at most " in lines[0]
    assert lines[0].endswith("no answer") and "\x1b" not in lines[0]


def test_the_failure_names_the_stage_that_waited() -> None:
    with pytest.raises(SchedlabError, match=r"health check .* fails: .*no answer") as error:
        health.health_gate(SCHEDULER, {"head": Head(failures=10**6)}, CLUSTER, "trial", 500.0)
    assert (error.value.stage, error.value.node) == ("trial", "head")


def test_pages_of_json_in_a_command_are_not_told() -> None:
    volcano = get_scheduler("volcano")
    head = Head(failures=10**6)
    with pytest.raises(SchedlabError, match=r"health check .*\.\.\.` fails: .*no answer") as error:
        health.health_gate(volcano, {"head": head}, CLUSTER, "trial", 60.0)
    assert len(error.value.message) < 300 < len(head.asked[0])


@pytest.mark.parametrize(
    ("nodes", "virtual", "wide"), [(2, None, 2), (100, None, 64), (8, 1, 8), (1024, 1, 16)]
)
def test_all_nodes_are_counted_and_a_job_runs_on_some(
    nodes: int, virtual: int | None, wide: int
) -> None:
    experiment = make_experiment(
        nodes=[nodes],
        virtual=virtual and {"carriers": virtual, "carrier": {"memory": "8 GiB"}},
        placement={"oversubscribe": True},
    )
    head = Head(failures=0)
    (cluster,) = experiment.clusters()
    health.health_gate(SCHEDULER, {"head": head}, cluster, "trial", 60.0)
    assert any(command.endswith(f" -eq {nodes}") for command in head.asked)
    assert any(f"--nodes={wide} " in command for command in head.asked)


def test_the_delays_of_virtual_nodes_are_waited_for() -> None:
    """A job of the gate has the delays of every other job, up to an hour each."""
    experiment = make_experiment(
        schedulers=["volcano"],
        nodes=[2],
        virtual={"carriers": 1, "delays": {"start": [0.5, 600.0], "completion": [0.1, 100.0]}},
        head={"memory": "3 GiB"},
        placement={"oversubscribe": True},
    )
    volcano = get_scheduler("volcano")
    (cluster,) = experiment.clusters()
    assert cluster.longest_delay == 700.0
    # Each look at the clock is ten seconds after the last: two of them a failure.
    head = Head(failures=30)
    health.health_gate(volcano, {"head": head}, cluster, "trial", 60.0)
    assert head.asked[-1].endswith(" --delay=700")
    with pytest.raises(SchedlabError):
        health.health_gate(SCHEDULER, {"head": Head(failures=30)}, CLUSTER, "trial", 60.0)
