"""What a person who watches a run sees: the run, its jobs at work, the last finding, the host.

Everything is read from files that others write, and from the kernel. Nothing is locked or written.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from schedlab.errors import SchedlabError
from schedlab.outside.json_text import open_file
from schedlab.outside.names import inside
from schedlab.paths import LOGS
from schedlab.printing import NOTICES
from schedlab.stages.live import Progress, read_progress
from schedlab.stages.progress import FINISHED
from schedlab.watch.run import AtWork, RunState, read_run

_TAIL = 1 << 14
"""Bytes of a log that are read, from its end."""
_RECENT = 50
"""Logs that are looked at for the last finding."""


@dataclass(frozen=True)
class Host:
    """Load of this machine.

    Attributes
    ----------
    cores : int
        Processors.
    load : float
        Load average over 1 minute (getloadavg(3)).
    busy : float
        Processors that were busy since the last look.
    memory_free_mib, memory_mib : int
        Memory that programs can still get, and all, MiB.
    stalled : dict of str to float
        Resource -> part of the last 10 s in which some process waited for it (Linux PSI), %.
    """

    cores: int
    load: float
    busy: float
    memory_free_mib: int
    memory_mib: int
    stalled: dict[str, float]


@dataclass(frozen=True)
class Sight:
    """All that is shown at one instant.

    Attributes
    ----------
    now : float
        Unix time, s.
    results : pathlib.Path
        The results folder.
    run : RunState or None
        The last run; None if there was none, or its state cannot be read.
    problem : str
        Why its state cannot be read, and what to do; else empty.
    progress : dict
        Job at work -> how far its trial is, and else the last line of its log.
    finding : str
        The last failure, warning or verdict on a trial.
    host : Host
        Load of this machine.
    """

    now: float
    results: Path
    run: RunState | None
    problem: str
    progress: dict[AtWork, Progress | str]
    finding: str
    host: Host


def look(results: Path) -> Sight:
    """Look at a results folder and at this machine now."""
    problem = ""
    try:
        run = read_run(results)
    except SchedlabError as error:
        run, problem = None, f"{error.message}; remedy: {error.remedy}"
    progress: dict[AtWork, Progress | str] = {}
    for job in run.at_work if run and run.alive else []:
        lines = _last_lines(results, job.log)
        found = [one for line in reversed(lines) if (one := read_progress(line))]
        progress[job] = found[0] if found else (lines[-1] if lines else "")
    finding = (run.finding if run else "") or _verdict(results)
    return Sight(time.time(), results, run, problem, progress, finding, _host())


def _host() -> Host:
    cores = psutil.cpu_count() or 1
    memory = psutil.virtual_memory()
    return Host(
        cores,
        os.getloadavg()[0],
        psutil.cpu_percent() / 100 * cores,
        memory.available >> 20,
        memory.total >> 20,
        dict(_stalls()),
    )


def _stalls() -> Iterator[tuple[str, float]]:
    for name in ("cpu", "memory", "io"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            some = Path(f"/proc/pressure/{name}").read_text().split()
            yield name, float(dict(word.split("=") for word in some[1:5])["avg10"])


def _last_lines(results: Path, log: str) -> list[str]:
    """Last lines of a log below the results folder; none if it cannot be read."""
    if not log:
        return []
    try:
        with open_file(inside(results, log)) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            text = stream.read(_TAIL).decode("utf-8", "replace")
    except (OSError, ValueError, SchedlabError):
        return []
    return [line for line in text.splitlines() if line.strip()]


def _verdict(results: Path) -> str:
    """Return what the last trial that ended said of itself; empty if none ended."""
    ages: list[tuple[float, Path]] = []
    for path in (results / LOGS / "trials").glob("*.log"):
        with contextlib.suppress(OSError):
            ages.append((path.stat().st_mtime, path))
    for _, path in sorted(ages, reverse=True)[:_RECENT]:
        for line in reversed(_last_lines(results, path.relative_to(results).as_posix())):
            if read_progress(line):
                break
            if line.startswith(NOTICES) or FINISHED in line:
                return line
    return ""
