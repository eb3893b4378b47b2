"""What a run shows on the terminal: one line for each job, warnings and errors.

``VERBOSE=1``, a dry run, and Snakemake's options ``--verbose`` and ``--printshellcmds`` show
Snakemake's own lines instead. Snakemake's log file always has them.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, show_logs
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from schedlab.lineage.durations import Durations, duration
from schedlab.watch.run import Run

_KEPT = ("Nothing to be done", "Complete log", "Trying to restart", "Will exit after finishing")
"""Beginnings of Snakemake's own lines that are shown to people."""


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
        self._results = Path()
        self._run: Run | None = None
        self._messages: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line for an event that people should see."""
        event = getattr(record, "event", None)
        fields = vars(record)
        if not self.common_settings.dryrun:
            self._follow(event, record, fields)
        if self._verbose:
            self._own.handle(record)
        elif event == LogEvent.JOB_INFO:
            self._tell(fields)
        elif event == LogEvent.JOB_FINISHED and self._run:
            if self._run.finished == self._run.total:
                took = duration(time.monotonic() - self._began)
                self._say(record, f"{self._run.total} of {self._run.total} in {took}")
        elif event == LogEvent.JOB_ERROR:
            self._say(record, "\n".join(self._failure(fields)))
        elif record.levelno >= logging.WARNING or str(record.msg).startswith(_KEPT):
            self._own.handle(record)

    def _follow(self, event: Any, record: logging.LogRecord, fields: dict[str, Any]) -> None:
        """Keep the state of the run, which `schedlab watch` shows."""
        now = time.time()
        if event == LogEvent.RUN_INFO and "stats" in fields:
            # The Snakefile sets it, after this handler was made.
            self._results = Path(os.environ.get("SCHEDLAB_RESULTS", "results")).absolute()
            self._run = Run(fields["stats"], Durations(self._results), self._results)
        elif self._run is None:
            return
        elif event == LogEvent.JOB_INFO and fields["output"]:
            what = fields["rule_msg"] or fields["rule_name"]
            self._messages[fields["jobid"]] = what
            logs = [Path(str(name)).absolute() for name in fields.get("log") or ()]
            log = next((os.path.relpath(name, self._results) for name in logs), "")
            self._run.start(fields["jobid"], fields["rule_name"], now, what, log)
        elif event == LogEvent.JOB_FINISHED:
            self._run.finish(fields["job_id"], now)
        elif event == LogEvent.JOB_ERROR:
            self._run.fail(fields["jobid"])
        elif record.levelno == logging.WARNING:
            self._run.warn(record.getMessage())

    def _tell(self, fields: dict[str, Any]) -> None:
        """Write the line of a job that begins."""
        if self._run is not None and fields["output"]:
            self._say(None, f"{self._run}: {self._messages[fields['jobid']]}")

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
