"""Adapter of a scheduler that does not exist: all that adding one to the workflow needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schedlab.schedulers.madeup.programs import PROGRAMS

from schedlab.schedulers.base import PARITY, Exporter, Scheduler
from schedlab.schedulers.programs import ProgramGroup
from schedlab.schedulers.register import register
from schedlab.schedulers.rows import NativeJob
from schedlab.schedulers.settings import Setting
from schedlab.schedulers.translation import Request, Submission
from schedlab.workloads.trace import Job, Trace


@register
class MadeUp(Scheduler):
    """First come, first served, on paper."""

    name: ClassVar[str] = "madeup"
    image: ClassVar[str] = "madeup"
    programs: ClassVar[tuple[ProgramGroup, ...]] = (PROGRAMS,)
    roles: ClassVar[tuple[str, ...]] = ("common", "monitoring", "madeup")
    cost_port: ClassVar[int] = 9101
    native_settings: ClassVar[Mapping[str, Setting]] = {
        "period": Setting("1", "s between two cycles", r"\d+", "a whole number")
    }

    def translate(self, job: Job, trace: Trace) -> Submission:
        """Put a job to it."""
        return Submission(job=job.job, arrival=job.arrival, argv=["madeup", str(job.nodes)])

    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Read a job back."""
        return Request(int(submission["argv"][1]), 1, 0.0)

    def completion(self) -> dict[str, str]:
        """Where the ends of jobs are written."""
        return {"log": "/var/log/madeup.log", "pattern": r"ended (\S+)"}

    def native_jobs(
        self, native: Path, translations: Sequence[Mapping[str, Any]]
    ) -> dict[str, NativeJob]:
        """No records."""
        return {}

    def native_commands(self) -> dict[str, list[str]]:
        """No records."""
        return {}

    def native_files(self) -> dict[str, str]:
        """No records."""
        return {}

    def configuration_files(self) -> dict[str, str]:
        """No configuration."""
        return {}

    def exporters(self) -> list[Exporter]:
        """Nothing to scrape."""
        return []

    def daemons(self) -> dict[str, list[str]]:
        """One daemon on every node."""
        return {"head": ["madeupd"], "compute": ["madeupd"]}

    def settings(self, native: Path) -> dict[str, Any]:
        """Nothing was in force."""
        return {}

    def parity(self, native: Path) -> dict[str, str]:
        """All rows, unknown."""
        return dict.fromkeys(PARITY, "unknown")

    def counters(self, native: Path) -> dict[str, float]:
        """No counters."""
        return {}

    def health(self, nodes: int, wide: int, delay: float = 0.0) -> list[str]:
        """Always healthy."""
        return ["true"]

    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """No secrets."""

    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """No secrets."""
        return {}
