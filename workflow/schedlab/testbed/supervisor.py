"""Run a job inside a testbed of its own, and make sure that nothing of it outlives the job.

The job of root runs in its own network, mount and process-id namespaces. The kernel then does the
cleaning: when the first process of a process-id namespace ends, for whatever reason (``kill -9``
included), the kernel ends libvirtd, every QEMU, dnsmasq and Prometheus in it. The bridges and taps
disappear with the network namespace. Only files remain, in a scratch folder whose lock tells
whether its owner still runs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from schedlab import locks, processes
from schedlab.errors import Interrupted, SchedlabError

INSIDE = "SCHEDLAB_INSIDE_TESTBED"
SCRATCH = "SCHEDLAB_SCRATCH_JOB"
SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")
LOCK = "lock"
"""File in a scratch folder that its owner keeps locked until it ends, in whatever way."""
GRACE = 60.0
"""Time that a job has to remove its cluster after SIGTERM or SIGINT, s."""


_held = contextlib.ExitStack()
"""Locks that this process keeps until it ends."""


def scratch_root(results: Path) -> Path:
    """Folder that holds the scratch folders of running jobs."""
    return results / "scratch"


def remove_abandoned(results: Path) -> list[Path]:
    """Remove the scratch folders whose owners have ended; return what was removed."""
    removed = []
    for scratch in _scratch_folders(results):
        # The lock is held during the removal. A job that is just making this folder waits for it,
        # then finds the folder gone and makes another. What is no lock stays.
        with contextlib.suppress(OSError, SchedlabError):
            with os.fdopen(locks.opened(scratch / LOCK), "a") as handle:
                if not locks.lock(handle, wait=False):
                    continue
                # Another job may have removed the folder meanwhile, and a third made it again: the
                # lock is then that of the removed one, and says nothing of this one.
                if not os.path.samestat(os.fstat(handle.fileno()), (scratch / LOCK).stat()):
                    continue
                shutil.rmtree(scratch, ignore_errors=True)
            if not scratch.exists():
                removed.append(scratch)
    return removed


def jobs_at_work(results: Path) -> list[str]:
    """Names of the jobs whose scratch folders are in use; a job needs no run around it."""
    found = []
    for scratch in _scratch_folders(results):
        # A job that ends now removes its folder; and no job locks what is no file.
        with (
            contextlib.suppress(FileNotFoundError, SchedlabError),
            os.fdopen(locks.opened(scratch / LOCK, os.O_RDONLY)) as handle,
        ):
            if not locks.lock(handle, wait=False, shared=True):
                found.append(scratch.name)
    return found


def _scratch_folders(results: Path) -> list[Path]:
    """Scratch folders, without links: these lead to folders that no job made."""
    root = scratch_root(results)
    if root.is_symlink() or not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def _make_locked(scratch: Path) -> IO[str]:
    """Make a scratch folder that is locked from the moment that it has its name.

    It is made and locked under another name first. Until it is locked, a job that runs
    :func:`remove_abandoned` may remove it; renaming it fails then, and it is made again, under a
    name that nobody has opened.
    """
    scratch.parent.mkdir(parents=True, exist_ok=True)
    while True:
        private = scratch.with_name(f".{scratch.name}-{secrets.token_hex(4)}")
        private.mkdir()
        with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
            handle = stack.enter_context((private / LOCK).open("w"))
            locks.lock(handle)
            private.rename(scratch)
            stack.pop_all()
            return handle


@contextlib.contextmanager
def scratch_folder(results: Path, name: str) -> Iterator[Path]:
    """Make a locked scratch folder for one job and remove it at the end."""
    remove_abandoned(results)
    scratch = scratch_root(results) / f"{name}-{os.getpid()}"
    with _make_locked(scratch):
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def system_libvirt_answers() -> bool:
    """Tell whether the machine's own ``qemu:///system`` can be used."""
    if not SYSTEM_SOCKET.is_socket():
        return False
    probe = processes.run(
        ["virsh", "--connect", "qemu:///system", "version"], capture_output=True, timeout=20
    )
    return probe.returncode == 0


def resolve_uri(configured: str) -> str:
    """Turn ``auto`` into ``qemu:///system`` or ``embedded``; keep any other value.

    Root has a libvirtd of its own even where the machine's answers: that one runs QEMU as a user
    who often may not enter the results, makes the cache's images that user's own, and does not end
    with a job that is killed.
    """
    if configured != "auto":
        return configured
    system = os.geteuid() != 0 and system_libvirt_answers()
    return "qemu:///system" if system else "embedded"


def workflow_process() -> psutil.Process | None:
    """Find the Snakemake process that started this job, if any."""
    for parent in psutil.Process().parents():
        with contextlib.suppress(psutil.Error):
            if any("snakemake" in Path(word).name for word in parent.cmdline()[:3]):
                return parent
    return None


def _raise_interrupted(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into :class:`Interrupted`, so that ``finally`` blocks run."""
    before = {s: signal.signal(s, _raise_interrupted) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_jobs_on_sigterm() -> None:
    """Let SIGTERM end the workflow and its jobs at once, as Ctrl-C does.

    Call it in Snakemake's main thread after its scheduler exists: Snakemake's own handler lets the
    running jobs finish, which may take hours. Ctrl-C reaches all processes of the terminal, but
    SIGTERM only Snakemake, so the stages that it started get it from here. The shells around
    them do not: a shell ends after its stage, which still cleans up.
    """

    def pass_on() -> None:
        told: set[psutil.Process] = set()
        # A job may be about to start its stage.
        while True:
            for shell in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    for stage in {*(shell.children() or [shell])} - told:
                        told.add(stage)
                        stage.terminate()
            time.sleep(0.2)

    def stop(_number: int, _frame: FrameType | None) -> None:
        # A second one would interrupt the end that the first one began.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Thread(target=pass_on, daemon=True, name="stop-jobs").start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


@contextlib.contextmanager
def told_when_stopped() -> Iterator[None]:
    """End the workflow with a message where a signal comes before its scheduler handles it.

    Raises
    ------
    SystemExit
        With the message, instead of KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit("schedlab: stopped by a signal before any job started") from None


def _stop_when_orphaned(parent: psutil.Process) -> None:
    """End this job when the workflow that started it dies, even by ``kill -9``."""

    def watch() -> None:
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    def guarded() -> None:
        try:
            watch()
        except psutil.NoSuchProcess:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=guarded, daemon=True, name="workflow-watch").start()


@cache
def end_with_workflow() -> None:
    """Let this job end with its workflow, with what it started, however the workflow ends.

    A signal becomes :class:`Interrupted`, on which `schedlab.processes` ends its programs. A stage
    that no workflow started keeps its own way to take signals.
    """
    parent = workflow_process()
    if parent is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _raise_interrupted)
        _stop_when_orphaned(parent)


def run_embedded(command: Sequence[str], scratch: Path) -> int:
    """Run a command in namespaces of its own; return its exit status.

    Parameters
    ----------
    command : sequence of str
        The command line.
    scratch : pathlib.Path
        The job's scratch folder, for libvirt's state and the overlays.

    Raises
    ------
    SchedlabError
        When the user is not root.
    """
    if os.geteuid() != 0:
        raise SchedlabError(
            "an embedded libvirt needs root (network and mount namespaces)",
            remedy="run as root or with sudo, or start libvirtd and join the group libvirt",
        )
    wrapped = [
        # Each process of this chain ends when the one before it ends, even by `kill -9`.
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc",
        "--propagation", "private", "tini", "-s", "--", *command,
    ]  # fmt: skip
    added = {INSIDE: "embedded", SCRATCH: str(scratch.resolve())}
    # The child has a session of its own, so that the terminal's Ctrl-C reaches only this process,
    # which passes it on once, to the first process inside. QEMU and Prometheus must not get it
    # before the clean-up.
    # A person may talk to it (`schedlab exec`).
    child = processes.start(wrapped, added=added, stdin=None, start_new_session=True)
    try:
        return child.wait()
    except (Interrupted, KeyboardInterrupt):
        with contextlib.suppress(psutil.NoSuchProcess):
            for inside in psutil.Process(child.pid).children():
                inside.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def in_testbed(arguments: Sequence[str], *, uri: str, results: Path, name: str) -> int | None:
    """Enter a testbed, once no other job uses the machine; others wait until this process ends.

    Parameters
    ----------
    arguments : sequence of str
        This job's own command line, run again inside an embedded testbed.
    uri : str
        ``libvirt.uri`` of the configuration.
    results : pathlib.Path
        The results folder; the scratch folder is made in it.
    name : str
        A short name of the job.

    Returns
    -------
    int or None
        The exit status of the job if it ran in a child. None if this process is already inside, or
        needs no namespaces: it must then do the work itself.
    """
    if os.environ.get(INSIDE):
        return None
    _held.enter_context(locks.machine())
    if resolve_uri(uri) != "embedded":
        return None
    with interruptible(), scratch_folder(results, name) as scratch:
        # -P: a file of the working folder must not take the place of a module.
        return run_embedded([sys.executable, "-P", "-m", "schedlab", *arguments], scratch)
