"""What a run shows on the terminal: one line for each job, warnings and errors.

``VERBOSE=1``, a dry run, and Snakemake's options ``--verbose`` and ``--printshellcmds`` show
Snakemake's own lines instead. Snakemake's log file always has them.
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

from schedlab.lineage.durations import STAGES, Durations, duration

_KEPT = ("Nothing to be done", "Complete log", "Trying to restart", "Will exit after finishing")
"""Beginnings of Snakemake's own lines that are shown to people."""


class Progress:
    """Number of finished jobs, and time that the other jobs take.

    Parameters
    ----------
    stats : dict of str to int
        Number of jobs of each rule that will run, and ``total``.
    recorded : Durations
        Durations of earlier jobs.
    """

    def __init__(self, stats: dict[str, int], recorded: Durations) -> None:
        self.total = stats.get("total", 0)
        self.finished = 0
        self._left = Counter({rule: n for rule, n in stats.items() if rule != "total"})
        self._recorded = recorded
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._running: dict[int, tuple[str, float]] = {}

    def start(self, job: int, rule: str, now: float) -> None:
        """Note that a job begins. `now` is a reading of a monotonic clock in s."""
        self._running[job] = (rule, now)

    def finish(self, job: int, now: float) -> None:
        """Note that a job succeeded. `now` is a reading of a monotonic clock in s."""
        self.finished += 1
        if job in self._running:
            rule, began = self._running.pop(job)
            self._left[rule] -= 1
            self._taken[rule].append(now - began)

    def seconds_left(self) -> tuple[float, bool]:
        """Return the time of the remaining jobs, and whether it is complete.

        Returns
        -------
        float, bool
            Time in s if the jobs run one after another, and whether a duration is known for every
            remaining rule.
        """
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
        return self._recorded.of(STAGES.get(rule, rule), "", []).seconds

    def __str__(self) -> str:
        seconds, known = self.seconds_left()
        about = "about" if known else "at least"
        time_left = f", {about} {duration(seconds)} left" if seconds else ""
        return f"{self.finished} of {self.total} finished{time_left}"


class LogHandler(LogHandlerBase):
    """Writes one line for each job to standard error."""

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
        """Write a line for an event that people should see."""
        if self._verbose:
            self._own.handle(record)
            return
        event = getattr(record, "event", None)
        fields = vars(record)
        if event == LogEvent.RUN_INFO and "stats" in fields:
            self._begin(fields["stats"])
        elif event == LogEvent.JOB_INFO:
            self._start(fields)
        elif event == LogEvent.JOB_FINISHED and self._progress:
            self._progress.finish(fields["job_id"], time.monotonic())
            if self._progress.finished == self._progress.total:
                took = duration(time.monotonic() - self._began)
                self._say(record, f"{self._progress.total} of {self._progress.total} in {took}")
        elif event == LogEvent.JOB_ERROR:
            self._say(record, "\n".join(self._failure(fields)))
        elif record.levelno >= logging.WARNING or str(record.msg).startswith(_KEPT):
            self._own.handle(record)

    def _begin(self, stats: dict[str, int]) -> None:
        results = Path(os.environ.get("SCHEDLAB_RESULTS", "results"))
        self._progress = Progress(stats, Durations(results))

    def _start(self, fields: dict[str, Any]) -> None:
        what = fields["rule_msg"] or fields["rule_name"]
        if self._progress is None or not fields["output"]:
            return
        self._messages[fields["jobid"]] = what
        self._progress.start(fields["jobid"], fields["rule_name"], time.monotonic())
        line = f"{self._progress}: {what}"
        self._say(None, line)

    def _failure(self, fields: dict[str, Any]) -> list[str]:
        """Return the lines about a failed job: its name, the path of its log, and the log."""
        names = [str(name) for name in fields["log"]]
        lines = [f"FAILED: {self._messages.get(fields['jobid'], fields['rule_name'])}"]
        lines += [f"  log: {name}" for name in names]
        shown = self.common_settings.show_failed_logs and names
        return lines + (list(show_logs(names)) if shown else [])

    def _say(self, record: logging.LogRecord | None, text: str) -> None:
        level = record.levelno if record else logging.INFO
        self._own.emit(logging.LogRecord("schedlab", level, "", 0, text, None, None))

    @property
    def writes_to_stream(self) -> bool:
        """True: this handler replaces Snakemake's own on the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """False: Snakemake's own handler writes the log file."""
        return False

    @property
    def has_filter(self) -> bool:
        """True: this handler selects the events itself."""
        return True

    @property
    def has_formatter(self) -> bool:
        """True: this handler writes its own lines."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """False: this handler does not use the graph of rules."""
        return False
