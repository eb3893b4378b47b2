"""The line that tells how far a trial is, while it runs; `schedlab watch` reads it in the log."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.testbed.prometheus import Server, evaluate

PERIOD = 5.0
"""Least time between two queries, s. They run beside the measurement, and take some ms each."""
TIMEOUT = 2.0
"""Longest time to wait for an answer, s; without one, the line has no loads."""
LOADS = "sum by (process) (rate(schedlab_process_cpu_seconds_total[10s]))"
SHOWN = 0.005
"""Least load that is told, cores."""
_LINE = re.compile(
    r"(?P<trial>\S+): (?P<submitted>\d+) submitted, (?:(?P<running>\d+) running, )?"
    r"(?P<completed>\d+) completed of (?P<total>\d+)(?:; load (?P<loads>.+) cores)?$"
)


@dataclass(frozen=True)
class Progress:
    """How far a trial is.

    Attributes
    ----------
    trial : str
        Id of the trial.
    submitted, completed, total : int
        Jobs that the scheduler has got, that have ended, and of the trace.
    running : int or None
        Jobs that run, as the scheduler last counted them; None if it does not tell.
    loads : dict of str to float
        Processors that each daemon uses, over all nodes, cores.
    """

    trial: str
    submitted: int
    completed: int
    total: int
    running: int | None = None
    loads: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        running = "" if self.running is None else f"{self.running} running, "
        loads = ", ".join(f"{name} {load:.2f}" for name, load in self.loads.items())
        return (
            f"{self.trial}: {self.submitted} submitted, {running}"
            f"{self.completed} completed of {self.total}" + (f"; load {loads} cores" * bool(loads))
        )


def read_progress(line: str) -> Progress | None:
    """Read a line that `Progress` wrote; None for any other line."""
    found = _LINE.match(line)
    if found is None:
        return None
    pairs = [part.rpartition(" ") for part in (found["loads"] or "").split(", ") if part]
    try:
        loads = {name: float(load) for name, _, load in pairs}
    except ValueError:
        return None
    running = None if found["running"] is None else int(found["running"])
    submitted, completed, total = (int(found[name]) for name in ("submitted", "completed", "total"))
    return Progress(found["trial"], submitted, completed, total, running, loads)


class Live:
    """Tells how far a trial is.

    Parameters
    ----------
    trial : str
        Id of the trial.
    total : int
        Jobs of its trace.
    server : Server or None
        Prometheus that scrapes its nodes.
    running : str
        Query for the number of jobs that run; empty if the scheduler does not tell.
    """

    def __init__(
        self, trial: str, total: int, server: Server | None = None, running: str = ""
    ) -> None:
        self.trial, self.total = trial, total
        self._server, self._running = server, running
        self._asked = float("-inf")
        self._answers: tuple[int | None, dict[str, float]] = (None, {})

    def line(self, state: Mapping[str, Any]) -> str:
        """Return the line for a state that the guest driver told."""
        if self._server and time.monotonic() - self._asked >= PERIOD:
            self._asked = time.monotonic()
            self._answers = self._ask(self._server)
        submitted, completed = (int(state.get(name, 0)) for name in ("submitted", "completed"))
        running, loads = self._answers
        return str(Progress(self.trial, submitted, completed, self.total, running, loads))

    def _ask(self, server: Server) -> tuple[int | None, dict[str, float]]:
        with contextlib.suppress(SchedlabError, KeyError, ValueError):
            found = evaluate(server, LOADS, TIMEOUT)
            loads = {labels.get("process", ""): load for labels, load in found if load >= SHOWN}
            ordered = dict(sorted(loads.items(), key=lambda item: -item[1]))
            running = evaluate(server, self._running, TIMEOUT) if self._running else []
            return (round(running[0][1]) if running else None), ordered
        return None, {}
