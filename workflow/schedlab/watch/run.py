"""State of a run of the workflow: which jobs have ended, which work, and how long the rest takes.

The process that runs the workflow writes it to a file beside the results, and others read it there
(`schedlab watch`). It is no record: it says nothing of results, and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schedlab.errors import SchedlabError
from schedlab.lineage.durations import STAGES, Durations, duration
from schedlab.outside.json_text import read_json
from schedlab.paths import RUN_STATE
from schedlab.results.records import write_json

SCHEMA = "schedlab.run/1"
_Time = Annotated[float, Field(ge=0, le=2**32)]
"""An instant or a duration, s: what programs for dates and durations can write."""
_Count = Annotated[int, Field(ge=0, le=10**9)]
_Rule = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
_Words = Annotated[str, Field(max_length=1 << 20)]
ORDER = (
    "toolchain", "accelerator", "base_disk", "programs", "image", "provision", "configure", "trace",
    "decision", "cluster_decision", "trial", "tables", "figure", "report", "bundle",
)  # fmt: skip
"""Rules in the order of the data's way."""


@dataclass(frozen=True)
class Stage:
    """Jobs of one rule in a run.

    Attributes
    ----------
    rule : str
        Name of the rule.
    total, finished, failed : int
        Numbers of jobs.
    each : float or None
        Expected duration of one, s; None if none is known.
    """

    rule: str
    total: int
    finished: int = 0
    failed: int = 0
    each: float | None = None


@dataclass(frozen=True)
class AtWork:
    """A job that runs now: its rule, its message, its log, and when it began (Unix time, s)."""

    rule: str
    what: str
    log: str
    since: float


@dataclass(frozen=True)
class RunState:
    """State of a run at one instant.

    Attributes
    ----------
    began : float
        When it began, Unix time in s.
    stages : list of Stage
        Its rules, in the order of the data's way.
    at_work : list of AtWork
        Jobs that run now.
    finding : str
        The last failure or warning; empty if there was none.
    alive : bool
        Whether the process that wrote it still runs.
    """

    began: float
    stages: list[Stage]
    at_work: list[AtWork]
    finding: str
    alive: bool

    @property
    def total(self) -> int:
        """Number of all jobs."""
        return sum(stage.total for stage in self.stages)

    @property
    def finished(self) -> int:
        """Number of jobs that succeeded."""
        return sum(stage.finished for stage in self.stages)

    def seconds_left(self, stage: Stage, now: float) -> float | None:
        """Time that the rest of a stage takes, one job after another, s; None if unknown."""
        left = stage.total - stage.finished - stage.failed
        if left <= 0:
            return 0.0
        if stage.each is None:
            return None
        work = [now - job.since for job in self.at_work if job.rule == stage.rule]
        return left * stage.each - sum(min(max(passed, 0.0), stage.each) for passed in work)

    def time_left(self, now: float) -> str:
        """Tell the time that the rest takes; empty if nothing is known of it."""
        known = [self.seconds_left(stage, now) for stage in self.stages]
        total = sum(seconds for seconds in known if seconds is not None)
        about = "at least" if None in known else "about"
        return f"{about} {duration(total)} left" if total else ""


class Run:
    """Follows a run from inside the process that runs the workflow.

    Parameters
    ----------
    stats : mapping of str to int
        Number of jobs of each rule that will run, and ``total``.
    recorded : Durations
        Durations of earlier jobs.
    results : pathlib.Path, optional
        The results folder, in which each change is written; by default nowhere.
    """

    def __init__(
        self, stats: Mapping[str, int], recorded: Durations, results: Path | None = None
    ) -> None:
        self.total = stats.get("total", 0)
        self.finished = 0
        # Rules that only collect targets take no time, and are no stages.
        self._totals = {
            rule: count
            for rule, count in stats.items()
            if rule != "total" and rule.partition("_")[0] != "all"
        }
        self._recorded, self._results = recorded, results
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._failed: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._running: dict[int, AtWork] = {}
        self._finding = ""
        self._began = time.time()

    def start(self, job: int, rule: str, now: float, what: str = "", log: str = "") -> None:
        """Note that a job begins. `now` is the Unix time in s."""
        self._running[job] = AtWork(rule, what or rule, log, now)
        self._keep()

    def finish(self, job: int, now: float) -> None:
        """Note that a job succeeded. `now` is the Unix time in s."""
        self.finished += 1
        if job in self._running:
            ended = self._running.pop(job)
            self._ended[ended.rule] += 1
            self._taken[ended.rule].append(now - ended.since)
        self._keep()

    def fail(self, job: int) -> None:
        """Note that a job failed."""
        if job in self._running:
            ended = self._running.pop(job)
            self._failed[ended.rule] += 1
            self._finding = f"FAILED: {ended.what} ({ended.log})"
        self._keep()

    def warn(self, text: str) -> None:
        """Note a warning."""
        self._finding = text
        self._keep()

    def state(self) -> RunState:
        """Return the present state."""
        places = {rule: place for place, rule in enumerate(ORDER)}
        stages = [
            Stage(rule, count, self._ended[rule], self._failed[rule], self._each(rule))
            for rule, count in sorted(
                self._totals.items(), key=lambda item: (places.get(item[0], len(ORDER)), item[0])
            )
        ]
        return RunState(self._began, stages, list(self._running.values()), self._finding, True)

    def _each(self, rule: str) -> float | None:
        if self._taken[rule]:
            return statistics.median(self._taken[rule])
        return self._recorded.of(STAGES.get(rule, rule), "", []).seconds

    def _keep(self) -> None:
        if self._results is None:
            return
        state = self.state()
        process = psutil.Process()
        content = {
            "schema": SCHEMA,
            "process": [process.pid, process.create_time()],
            "began": state.began,
            "stages": [vars(stage) for stage in state.stages],
            "at_work": [vars(job) for job in state.at_work],
            "finding": state.finding,
        }
        # A full disk must not end a run that could go on without this file.
        with contextlib.suppress(OSError):
            write_json(self._results / RUN_STATE, content)

    def __str__(self) -> str:
        left = self.state().time_left(time.time())
        return f"{self.finished} of {self.total} finished" + (f", {left}" if left else "")


class _Form(BaseModel):
    """A part of the file; others may have written it, as results are copied and shared."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _StageForm(_Form):
    rule: _Rule
    total: _Count
    finished: _Count
    failed: _Count
    each: _Time | None


class _JobForm(_Form):
    rule: _Rule
    what: _Words
    log: _Words
    since: _Time


class _RunForm(_Form):
    schema_: Literal["schedlab.run/1"] = Field(alias="schema")
    process: Annotated[list[_Time], Field(min_length=2, max_length=2)]
    began: _Time
    stages: list[_StageForm]
    at_work: list[_JobForm]
    finding: _Words


def read_run(results: Path) -> RunState | None:
    """Read the state of the last run on a results folder; None if there is none.

    It only reads, and takes no lock.

    Raises
    ------
    SchedlabError
        When the file does not have the form in which a run writes it.
    """
    path = results / RUN_STATE
    try:
        found = _RunForm.model_validate(read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        told = error.errors()[0]["loc"] if isinstance(error, ValidationError) else error
        where = ".".join(map(str, told)) if isinstance(told, tuple) else str(told)
        where = where or "not a mapping"
        raise SchedlabError(
            f"{path}: does not have the form in which a run writes it: {where}",
            remedy=f"remove {path}; the next run writes it again",
        ) from error
    return RunState(
        found.began,
        [Stage(**stage.model_dump()) for stage in found.stages],
        [AtWork(**job.model_dump()) for job in found.at_work],
        found.finding,
        _alive(int(found.process[0]), found.process[1]),
    )


def _alive(number: int, began: float) -> bool:
    """Whether a process runs; another one that got its number later began later."""
    try:
        return abs(psutil.Process(number).create_time() - began) < 1.0
    except (psutil.Error, ValueError, OverflowError):
        return False
