"""What who watches a run sees of it, and that the run is left alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from rich.console import Console

from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.lineage.durations import Estimate
from schedlab.paths import CHECKOUT, REPORT, RUN_STATE
from schedlab.results.records import write_json
from schedlab.stages import live as stage
from schedlab.stages.live import Live, Progress, read_progress
from schedlab.testbed.prometheus import Server
from schedlab.watch.run import Run, read_run
from schedlab.watch.show import Changes, plain, view
from schedlab.watch.sight import look

TRIAL = "slurm-n1.burst.1"
STATES = (
    f"{TRIAL}: 3 submitted, 1 completed of 8\n"
    f"{TRIAL}: 8 submitted, 2 running, 4 completed of 8; load slurmctld 0.12, slurmd 0.03 cores\n"
    "a line of another kind\n"
)


class Recorded:
    """Every trial took 100 s."""

    def of(self, stage: str, identifier: str, outputs: list[str]) -> Estimate:
        return Estimate(100.0 if stage == "trial" else None, "test")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run with a trial at work and one that ended."""
    logs = tmp_path / "logs" / "trials"
    logs.mkdir(parents=True)
    (logs / "slurm-n1.burst.2.log").write_text(
        "WARNING: slurm-n1.burst.2: invalid: \x1b[2J. 1 of 3 trials finished, about 2 min left\n"
    )
    (logs / f"{TRIAL}.log").write_text(STATES)
    run = Run({"trial": 3, "report": 1, "all": 1, "total": 5}, Recorded(), tmp_path)  # type: ignore[arg-type]
    now = time.time()
    run.start(1, "trial", now - 50, "Trial slurm-n1.burst.2", "logs/trials/slurm-n1.burst.2.log")
    run.finish(1, now - 10)
    run.start(2, "trial", now - 10, f"Trial {TRIAL}", f"logs/trials/{TRIAL}.log")
    return tmp_path


@pytest.mark.parametrize(
    "progress",
    [
        Progress(TRIAL, 3, 1, 8),
        Progress("lab-b:" + TRIAL, 8, 4, 8, 2, {"slurmctld": 0.12, "kube-apiserver": 1.5}),
    ],
)
def test_what_a_trial_tells_is_read_back(progress: Progress) -> None:
    assert read_progress(str(progress)) == progress


@pytest.mark.parametrize(
    "line", ["", "x: 1 submitted", STATES.splitlines()[-1], f"{TRIAL}: measured"]
)
def test_other_lines_of_a_log_are_none(line: str) -> None:
    assert read_progress(line) is None


def test_the_trial_at_work_is_seen_with_its_jobs_and_loads(results: Path) -> None:
    sight = look(results)
    assert list(sight.progress.values()) == [
        Progress(TRIAL, 8, 4, 8, 2, {"slurmctld": 0.12, "slurmd": 0.03})
    ]
    first, job, host, finding = plain(sight)
    # Two trials are left, one of them began 10 s ago; each took 40 s in this run.
    assert "works" in first and "1 of 4 jobs finished, at least 70 s left" in first
    assert job.startswith(f"  Trial {TRIAL} (10 s): {TRIAL}: 8 submitted, 2 running, 4 completed")
    assert "processors busy" in host
    # Nothing in a log is obeyed by the terminal.
    assert "burst.2: invalid: \\u001b[2J" in finding


def test_the_view_of_a_terminal_has_the_same(results: Path) -> None:
    screen = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    screen.print(view(look(results)))
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    for words in ("1 of 3", "70 s", "not known", "running", "2 of 8", "slurmctld", "0.12 cores"):
        assert words in shown
    assert "\x1b[2J" not in shown


def test_lines_are_written_when_something_changes(results: Path) -> None:
    changes = Changes(period=1e9)
    assert len(changes.lines(look(results))) == 4
    assert changes.lines(look(results)) == []
    log = results / "logs" / "trials" / "slurm-n1.burst.2.log"
    log.write_text("slurm-n1.burst.2: measured. 2 of 3 trials finished, about 1 min left\n")
    assert "burst.2: measured" in changes.lines(look(results))[-1]


def test_a_run_whose_process_is_gone_ended_early(results: Path) -> None:
    state = read_run(results)
    assert state is not None and state.alive
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        began = psutil.Process(process.pid).create_time()
    content = {
        "schema": "schedlab.run/1", "process": [process.pid, began], "began": 0.0,
        "stages": [vars(stage) for stage in state.stages], "at_work": [], "finding": "",
    }  # fmt: skip
    write_json(results / RUN_STATE, content)
    assert "ended early" in plain(look(results))[0]
    (results / RUN_STATE).unlink()
    assert "no run yet" in plain(look(results))[0]
    (results / REPORT).touch()
    assert "no run; it has a report" in plain(look(results))[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("began",), 1e300),
        (("began",), -1.0),
        (("began",), None),
        (("process",), []),
        (("process",), [1e300, 0.0]),
        (("finding",), ["x"]),
        (("stages", 0, "total"), "x"),
        (("stages", 0, "total"), -1),
        (("stages", 0, "each"), 1e300),
        (("stages", 0, "rule"), "[red]x[/foo]"),
        (("stages", 0, "more"), 1),
        (("at_work", 0, "since"), None),
        (("at_work", 0, "rule"), 1),
        (("at_work", 0, "log"), None),
        (("stages",), {}),
        ((), []),
        ((), None),
    ],
)
def test_a_state_that_others_wrote_is_told_and_not_obeyed(
    results: Path, place: tuple[str | int, ...], value: Any
) -> None:
    content = json.loads((results / RUN_STATE).read_text())
    if place:
        inner: Any = content
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
    else:
        content = value
    (results / RUN_STATE).write_text(json.dumps(content))
    sight = look(results)
    assert RUN_STATE in plain(sight)[0] and "remedy" in plain(sight)[0]
    Console(file=io.StringIO(), force_terminal=True).print(view(sight))
    done = CliRunner().invoke(main, ["watch", "--once", str(results)])
    assert done.exit_code == 1 and RUN_STATE in done.output


def test_words_of_a_state_are_no_markup(results: Path) -> None:
    content = json.loads((results / RUN_STATE).read_text())
    content["at_work"][0]["what"] = "[red]Trial[/foo]"
    content["finding"] = "[/foo]"
    (results / RUN_STATE).write_text(json.dumps(content))
    log = results / "logs" / "trials" / f"{TRIAL}.log"
    log.write_text(STATES.replace("slurmctld", "[/foo]"))
    screen = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    screen.print(view(look(results)))
    assert "[red]Trial[/foo]" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_nobody_waits_for_a_run_that_cannot_come(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    for name, message in (("absent", "no such folder"), ("other", "is no folder of results")):
        for more in ([], ["--once"]):
            done = CliRunner().invoke(main, ["watch", str(tmp_path / name), *more])
            assert done.exit_code == 2 and message in done.stderr


def test_a_single_look_without_results_fails_as_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCHEDLAB_RESULTS", raising=False)
    done = CliRunner().invoke(main, ["watch", "--once"])
    assert done.exit_code == 2
    assert "results: no such folder" in done.stderr and "remedy" in done.stderr


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_command_ends_on_signals_and_changes_nothing(
    results: Path, terminal: bool, name: str
) -> None:
    before = files(results)
    end = getattr(signal, name)
    shown, out = pty.openpty() if terminal else os.pipe()
    command = [sys.executable, "-m", "schedlab", "watch", str(results)]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "workflow"), "TERM": "xterm"}
    with subprocess.Popen(
        command,
        stdout=out,
        stderr=subprocess.PIPE,
        env=environment,
        # Tests may run in the background of a shell, which lets them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        os.close(out)
        text = b""
        while b"burst.2: invalid" not in text:
            text += os.read(shown, 4096)
        process.send_signal(end)
        try:
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    if terminal:
        with contextlib.suppress(OSError):  # the other end is closed
            while more := os.read(shown, 4096):
                text += more
        assert text.rpartition(b"\x1b[?25l")[2].count(b"\x1b[?25h"), "the cursor is shown again"
    os.close(shown)
    assert process.returncode == (0 if end == signal.SIGINT else 128 + end) and errors == b""
    assert files(results) == before


def answers(server: Server, query: str, timeout: float) -> list[tuple[dict[str, str], float]]:
    if query == "up":
        return [({}, 2.0)]
    return [({"process": "munged"}, 0.001), ({"process": "slurmd"}, 0.03),
            ({"process": "slurmctld"}, 0.12)]  # fmt: skip


def test_a_trial_asks_prometheus_for_the_largest_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "evaluate", answers)
    live = Live(TRIAL, 8, Server("", ""), "up")
    line = live.line({"submitted": 3, "completed": 1})
    assert line == (
        f"{TRIAL}: 3 submitted, 2 running, 1 completed of 8; load slurmctld 0.12, slurmd 0.03 cores"
    )


def test_a_trial_goes_on_if_prometheus_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise SchedlabError("Prometheus could not be asked")

    monkeypatch.setattr(stage, "evaluate", refuse)
    live = Live(TRIAL, 8, Server("", ""), "up")
    assert live.line({"submitted": 3, "completed": 1}) == f"{TRIAL}: 3 submitted, 1 completed of 8"
