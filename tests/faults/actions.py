"""The faults: what is done to which victim of a run that is under way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

SUSPENDED = 60.0
"""How long everything stands still, s."""


@dataclass
class Run:
    """A run of the workflow that is under way.

    Parameters
    ----------
    workflow : subprocess.Popen
        Snakemake.
    stage : str
        Subcommand of `schedlab` that the stage runs.
    results : pathlib.Path
        The results' folder, a file system of its own.
    """

    workflow: subprocess.Popen[bytes]
    stage: str
    results: Path

    def tree(self) -> list[psutil.Process]:
        """All processes of the run, the workflow first."""
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self.workflow.pid)
            return [first, *first.children(recursive=True)]
        return []

    def innermost(self) -> psutil.Process | None:
        """The stage's process in the testbed (in the workflow's own namespaces if it has none)."""
        found = None
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if (
                    "schedlab" in " ".join(words[:5])
                    and self.stage in words
                    and "unshare" not in words
                ):
                    found = process
        return found

    def named(self, name: str, word: str = "") -> psutil.Process:
        """A process of the run by the beginning of its name, and a word of its command."""
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                if process.name().startswith(name) and word in " ".join(process.cmdline()):
                    return process
        raise LookupError(f"the run has no process {name} {word}".rstrip())

    def inside(self, *command: str) -> str:
        """Run a command in the network and mounts of the testbed."""
        stage = self.innermost()
        if stage is None:
            raise LookupError("the stage has ended")
        enter = ["nsenter", "--target", str(stage.pid), "--net", "--mount", "--"]
        done = subprocess.run(
            [*enter, *command], capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode not in (0, 255):
            raise LookupError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def on_guest(self, node: str, command: str) -> None:
        """Run a command on a guest as root."""
        (config,) = (self.results / "scratch").glob("*/ssh.conf")
        self.inside("ssh", "-F", str(config), node, f"sudo sh -c '{command}'")


Fault = Callable[[Run], None]


def send_workflow(number: int) -> Fault:
    """Send a signal to Snakemake alone, as `kill` does."""
    return lambda run: run.workflow.send_signal(number)


def interrupt(run: Run) -> None:
    """Ctrl-C: the terminal sends SIGINT to all processes of its foreground group."""
    os.killpg(run.workflow.pid, signal.SIGINT)


def kill(name: str, word: str = "", number: int = signal.SIGKILL) -> Fault:
    """Send a signal to a program of the run on the host."""
    return lambda run: run.named(name, word).send_signal(number)


def guest(node: str, command: str) -> Fault:
    """Run a command on a guest as root."""
    return lambda run: run.on_guest(node, command)


def cut_network(run: Run) -> None:
    """Take the compute node's network card off the network, without telling the guest."""
    links = run.inside("ip", "-brief", "link", "show", "type", "tun").splitlines()
    if not links:
        raise LookupError("no guest has a network card")
    run.inside("ip", "link", "set", links[-1].split()[0], "down")


def suspend(run: Run) -> None:
    """Stop all processes for a while, as a host that sleeps does."""
    stopped = run.tree()
    for process in stopped:
        with contextlib.suppress(psutil.Error):
            process.suspend()
    time.sleep(SUSPENDED)
    for process in reversed(stopped):
        with contextlib.suppress(psutil.Error):
            process.resume()


def fill_disk(run: Run) -> None:
    """Leave no space where the results are."""
    size, step = 0, 1 << 34
    with (run.results / FILLER).open("wb") as file:
        while step:
            # Blocks are taken without being written, which would take a minute.
            try:
                os.posix_fallocate(file.fileno(), size, step)
                size += step
            except OSError:
                step //= 2


FILLER = "filler"


@contextlib.contextmanager
def file_system(folder: Path, size: str) -> Iterator[None]:
    """A small file system at a folder."""
    image = folder.with_suffix(".ext4")
    subprocess.run(["truncate", "--size", size, str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        image.unlink()
