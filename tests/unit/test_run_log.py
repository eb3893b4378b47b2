"""Output of a run: one line for each job, warnings and errors."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import snakemake.cli  # noqa: F401  (before its parts: they import one another in a circle)
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from schedlab.cli.run_log import LogHandler
from schedlab.lineage.durations import Estimate
from schedlab.watch.run import Run, read_run

WRITTEN = "started\nNOTICE: emulated\n  reason: none\nWARNING: x: invalid\ny\n"


class Recorded:
    """Every trial took 100 s; no other durations are known."""

    def of(self, stage: str, identifier: str, outputs: list[str]) -> Estimate:
        return Estimate(100.0 if stage == "trial" else None, "test")


def test_the_time_left_is_what_was_recorded_until_this_run_knows_better() -> None:
    progress = Run({"trial": 3, "all": 1, "total": 4}, Recorded())  # type: ignore[arg-type]
    assert progress.state().time_left(10.0) == "about 5 min left"
    progress.start(7, "trial", 10.0)
    assert progress.state().time_left(40.0) == "about 4 min left"
    assert progress.state().time_left(9999.0) == "about 3 min left"
    progress.finish(7, 50.0)
    assert str(progress) == "1 of 4 finished, about 80 s left"


def test_what_never_ran_makes_it_a_lower_bound() -> None:
    progress = Run({"trial": 1, "tables": 1, "total": 2}, Recorded())  # type: ignore[arg-type]
    assert str(progress) == "0 of 2 finished, at least 100 s left"


def run(handler: LogHandler, log: Path) -> None:
    """The events of a run with a trial that works and one that fails."""

    def tell(message: str, level: int = logging.INFO, **told: Any) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
        record.__dict__.update(told)
        handler.handle(record)

    tell("Building DAG of jobs...")
    tell("Job stats", event=LogEvent.RUN_INFO, stats={"trial": 2, "total": 2})
    for number in (1, 2):
        tell("", event=LogEvent.JOB_INFO, jobid=number, rule_name="trial", output=["a"],
             rule_msg=f"Trial {number}", log=[str(log)], reason="Missing: a")  # fmt: skip
        if number == 1:
            tell("Finished", event=LogEvent.JOB_FINISHED, job_id=number)
    tell("Select jobs to execute...")
    tell("a warning", logging.WARNING)
    tell("", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=2, rule_name="trial", rule_msg=None,
         log=[str(log)])  # fmt: skip


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.delenv("VERBOSE", raising=False)
    monkeypatch.setenv("SCHEDLAB_RESULTS", str(tmp_path))
    log = tmp_path / "trial.log"
    log.write_text("the reason of the failure\n")
    run(LogHandler(OutputSettings(show_failed_logs=True, nocolor=True), None), log)
    return capsys.readouterr().err


def test_the_state_of_the_run_is_kept_beside_the_results(said: str, tmp_path: Path) -> None:
    state = read_run(tmp_path)
    assert state is not None and state.alive
    assert [(stage.rule, stage.total, stage.finished, stage.failed) for stage in state.stages] == [
        ("trial", 2, 1, 1)
    ]
    assert state.at_work == []
    assert state.finding == "FAILED: Trial 2 (trial.log)"


def test_a_dry_run_leaves_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDLAB_RESULTS", str(tmp_path))
    run(LogHandler(OutputSettings(dryrun=True, nocolor=True), None), tmp_path / "trial.log")
    assert read_run(tmp_path) is None


def test_a_job_is_one_line_and_a_failure_shows_its_log(said: str, tmp_path: Path) -> None:
    lines = said.splitlines()
    assert lines[0] == "0 of 2 finished: Trial 1"
    assert lines[1].startswith("1 of 2 finished") and lines[1].endswith(": Trial 2")
    assert lines[2:5] == ["a warning", "FAILED: Trial 2", f"  log: {tmp_path / 'trial.log'}"]
    assert "the reason of the failure" in said
    assert "Reason" not in said and "Select jobs" not in said


@pytest.mark.parametrize(
    ("options", "verbose", "shown"),
    [
        ({}, "", ""),
        ({"notices": True}, "", "NOTICE: emulated\n  reason: none\nWARNING: x: invalid\n"),
        ({"notices": True}, "1", WRITTEN),
        ({"show": True}, "", WRITTEN),
    ],
)
def test_the_end_of_a_stages_pipe_shows_what_it_is_asked_to(
    options: dict[str, bool], verbose: str, shown: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "schedlab", "log", *(f"--{name}" for name in options)]
    done = subprocess.run(
        [*command, str(tmp_path / "log")], input=WRITTEN, stdout=subprocess.PIPE,
        text=True, check=True,
        env=os.environ | {"VERBOSE": verbose},
    )  # fmt: skip
    assert (tmp_path / "log").read_text() == WRITTEN
    assert done.stdout == shown


def test_verbose_brings_snakemakes_own_lines_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERBOSE", "1")
    handler = LogHandler(OutputSettings(nocolor=True), None)
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "Building DAG", None, None)
    handler.handle(record)
    assert capsys.readouterr().err == "Building DAG\n"
