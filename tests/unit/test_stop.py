"""A command that a signal stops: its exit status, its message, and the processes that it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from schedlab.errors import Interrupted, SchedlabError
from schedlab.paths import CHECKOUT
from schedlab.stages import configure

COMMAND = """
import signal, sys, time
from pathlib import Path
# A shell starts what it puts into the background with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from schedlab.cli.main import main
from schedlab.testbed.supervisor import interruptible

@main.command()
def wait():
    if sys.argv[2] == "stage":
        with interruptible():
            Path(sys.argv[3]).touch()
            try:
                time.sleep(600)
            except Exception as error:
                print("taken for a failure", error)
    Path(sys.argv[3]).touch()
    time.sleep(600)

main(["wait"])
"""


@pytest.mark.parametrize(
    ("kind", "number", "status"),
    [
        ("stage", signal.SIGTERM, 143),
        ("stage", signal.SIGINT, 130),
        ("plain", signal.SIGINT, 130),
    ],
)
def test_a_stopped_command_says_so_and_ends_with_the_signals_status(
    tmp_path: Path, kind: str, number: signal.Signals, status: int
) -> None:
    ready = tmp_path / "ready"
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "wait", kind, str(ready)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while not ready.exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out) == (status, "")
    assert err == f"schedlab: stopped by {number.name}\n"


JOB = """
from schedlab import processes
from schedlab.cli.main import main
from schedlab.testbed.supervisor import end_with_workflow

@main.command()
def build():
    end_with_workflow()
    processes.run(["sleep", "3600"])

main(["build"])
"""
WORKFLOW = """#!{python}
import subprocess, sys
subprocess.run([sys.executable, "-c", {job!r}])
"""


@pytest.mark.parametrize("to", ["workflow", "job"])
def test_a_job_without_a_testbed_ends_with_its_workflow_and_ends_its_programs(
    tmp_path: Path, to: str
) -> None:
    snakemake = tmp_path / "snakemake"
    snakemake.write_text(WORKFLOW.format(python=sys.executable, job=JOB))
    snakemake.chmod(0o755)
    with subprocess.Popen([snakemake], stderr=subprocess.DEVNULL) as workflow:
        started: list[psutil.Process] = []
        try:
            deadline = time.monotonic() + 120
            while len(started) < 2:
                assert workflow.poll() is None and time.monotonic() < deadline
                started = psutil.Process(workflow.pid).children(recursive=True)
                time.sleep(0.05)
            assert started[1].name() == "sleep"
            if to == "workflow":
                workflow.kill()
            else:
                started[0].terminate()
            assert psutil.wait_procs(started, timeout=120)[1] == []
        finally:
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            workflow.kill()


def test_no_handler_of_failures_takes_a_stop_for_one() -> None:
    assert not issubclass(Interrupted, Exception)
    assert not issubclass(Interrupted, SchedlabError)


def test_a_stopped_playbook_ends_its_ansible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal is not reported as a guest that died or as a failure of ansible-runner."""
    program = tmp_path / "ansible-playbook"
    program.write_text("#!/bin/sh\nexec sleep 3600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def stopped() -> None:
        raise Interrupted(signal.SIGTERM)

    before = psutil.Process().children()
    with pytest.raises(Interrupted):
        configure.run_playbook(tmp_path / "o", tmp_path / "c", {}, tmp_path, 600, stopped)
    left = [child for child in psutil.Process().children() if child not in before]
    assert [child for child in left if child.status() != psutil.STATUS_ZOMBIE] == []


BEGIN = """
import os, signal, sys
from schedlab import snakefile
snakefile.require_host = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
snakefile.Pipeline.load(sys.argv[1], sys.argv[2], sys.argv[3]).begin()
"""


def test_sigterm_while_a_run_begins_gives_a_message_and_no_traceback(tmp_path: Path) -> None:
    experiments = tmp_path / "experiments.yaml"
    experiments.write_text(
        "placement: {oversubscribe: true}\nworkloads: [{name: b, kind: burst}]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", BEGIN, experiments, tmp_path / "r", CHECKOUT],
        env=os.environ | {"SCHEDLAB_CACHE": str(tmp_path / "cache")},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stderr.strip() == "schedlab: stopped by a signal before any job started"
    assert done.returncode == 1
