"""What a run says on the terminal: one line a job, warnings and errors.

``VERBOSE=1`` (and dry runs, and Snakemake's own ``--verbose`` and ``--printshellcmds``) bring
Snakemake's own lines back. Its log file has them in any case.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, show_logs
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

STAGES = {"base_disk": "base"}
"""Stages in records whose rule is called otherwise."""

_KEPT = ("Nothing to be done", "Complete log", "Trying to restart", "Will exit after finishing")
"""How Snakemake's own lines begin that a person should see."""


class Progress:
    """How many jobs are finished, and how long the rest takes.

    Parameters
    ----------
    stats : dict of str to int
        Jobs of each rule that will run, and ``total``.
    recorded : mapping-like
        Has ``of(stage, identifier, outputs).seconds``: what such jobs took before, s.
    """

    def __init__(self, stats: dict[str, int], recorded: Any) -> None:
        self.total = stats.get("total", 0)
        self.finished = 0
        self._left = Counter({rule: n for rule, n in stats.items() if rule != "total"})
        self._recorded = recorded
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._running: dict[int, tuple[str, float]] = {}

    def start(self, job: int, rule: str, now: float) -> None:
        """Note that a job begins, at a reading of a clock in s."""
        self._running[job] = (rule, now)

    def finish(self, job: int, now: float) -> None:
        """Note that a job ended well."""
        self.finished += 1
        if job in self._running:
            rule, began = self._running.pop(job)
            self._left[rule] -= 1
            self._taken[rule].append(now - began)

    def seconds_left(self) -> tuple[float, bool]:
        """Seconds for the rest, one job after another, and whether every kind of job is known."""
        total, known = 0.0, True
        for rule, count in self._left.items():
            # Rules that only collect targets take no time.
            if count > 0 and rule.partition("_")[0] != "all":
                each = self._each(rule)
                known = known and each is not None
                total += count * (each or 0.0)
        return total, known

    def _each(self, rule: str) -> float | None:
        if self._taken[rule]:
            return statistics.median(self._taken[rule])
        found: float | None = self._recorded.of(STAGES.get(rule, rule), "", []).seconds
        return found

    def __str__(self) -> str:
        seconds, known = self.seconds_left()
        about = "about" if known else "at least"
        time_left = f", {about} {duration(seconds)} left" if seconds else ""
        return f"{self.finished} of {self.total} finished{time_left}"


def duration(seconds: float) -> str:
    """A duration to two digits or so: 40 s, 12 min, 3.5 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class LogHandler(LogHandlerBase):
    """Writes one line a job to standard error."""

    def __post_init__(self) -> None:
        settings = self.common_settings
        self._verbose = bool(
            os.environ.get("VERBOSE")
            or settings.dryrun
            or settings.verbose
            or settings.printshellcmds
            or settings.debug_dag
        )
        formatter = DefaultFormatter(settings.quiet, settings.show_failed_logs)
        chosen = DefaultFilter(
            settings.quiet,
            settings.debug_dag,
            settings.verbose,
            settings.dryrun,
            settings.printshellcmds,
        )
        self._own = ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=sys.stdout if settings.stdout else sys.stderr,
            formatter=formatter,
            filter=chosen,
        )
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._messages: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line for an event that a person wants to know of."""
        if self._verbose:
            self._own.handle(record)
            return
        event = getattr(record, "event", None)
        told = vars(record)
        if event == LogEvent.RUN_INFO and "stats" in told:
            self._begin(told["stats"])
        elif event == LogEvent.JOB_INFO:
            self._start(told)
        elif event == LogEvent.JOB_FINISHED and self._progress:
            self._progress.finish(told["job_id"], time.monotonic())
            if self._progress.finished == self._progress.total:
                took = duration(time.monotonic() - self._began)
                self._say(record, f"{self._progress.total} of {self._progress.total} in {took}")
        elif event == LogEvent.JOB_ERROR:
            self._say(record, "\n".join(self._failure(told)))
        elif record.levelno >= logging.WARNING or str(record.msg).startswith(_KEPT):
            self._own.handle(record)

    def _begin(self, stats: dict[str, int]) -> None:
        from schedlab.lineage.durations import Durations

        results = Path(os.environ.get("SCHEDLAB_RESULTS", "results"))
        self._progress = Progress(stats, Durations(results))

    def _start(self, told: dict[str, Any]) -> None:
        what = told["rule_msg"] or told["rule_name"]
        if self._progress is None or not told["output"]:
            return
        self._messages[told["jobid"]] = what
        self._progress.start(told["jobid"], told["rule_name"], time.monotonic())
        line = f"{self._progress}: {what}"
        self._say(None, line)

    def _failure(self, told: dict[str, Any]) -> list[str]:
        """Lines about a job that failed: which, where its log is, and the log."""
        names = [str(name) for name in told["log"]]
        lines = [f"FAILED: {self._messages.get(told['jobid'], told['rule_name'])}"]
        lines += [f"  log: {name}" for name in names]
        shown = self.common_settings.show_failed_logs and names
        return lines + (list(show_logs(names)) if shown else [])

    def _say(self, record: logging.LogRecord | None, text: str) -> None:
        level = record.levelno if record else logging.INFO
        self._own.emit(logging.LogRecord("schedlab", level, "", 0, text, None, None))

    @property
    def writes_to_stream(self) -> bool:
        """In place of Snakemake's own."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own handler writes the file."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses by itself."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It writes its own lines."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No."""
        return False
