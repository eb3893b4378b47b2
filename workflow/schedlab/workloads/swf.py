"""SWF: a slice of a recorded trace, scaled in time and in size to the cluster."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from schedlab.errors import SchedlabError
from schedlab.printing import brief
from schedlab.privacy.identity import identity
from schedlab.swf.file import (
    FIELDS,
    SwfJob,
    line_error,
    machine_size,
    require_one_preceding,
    require_think_times,
)
from schedlab.workloads.feedback import Dependencies, with_dependencies
from schedlab.workloads.registry import LONGEST, MOST_JOBS, SHORTEST, Problem, Workload, register
from schedlab.workloads.scaling import Fitted, facts_of, taken
from schedlab.workloads.trace import BOUNDED_SLOWDOWN_THRESHOLD, Job, Machine

if TYPE_CHECKING:
    from schedlab.swf.table import Table
    from schedlab.swf.windows import Window

# Added to the scaled limit of every job (s). A launch takes seconds on an emulated guest; they do
# not scale with the trace, and must not make a job exceed its limit.
_GRACE = 60.0
_RUNTIME, _LIMIT = FIELDS.index("run time"), FIELDS.index("requested time")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Select(_Section):
    """All usable jobs of a window of time."""

    first: float = Field(default=0.0, ge=0, le=LONGEST, description="Start, s of the log's time.")
    length: float = Field(ge=1, le=LONGEST, description="Length, traced s.")


class Representative(_Section):
    """All usable jobs of windows that are chosen by load, one after the other."""

    windows: int = Field(default=3, ge=1, le=1000, description="How many.")
    length: float = Field(default=86_400.0, ge=1, le=LONGEST, description="Of each, traced s.")
    seed: int = Field(default=1, ge=0, description="Of the choice; the same in all repetitions.")


@dataclass(frozen=True)
class _Slice:
    """Usable jobs in order of arrival, and why others among them were left out.

    `arrivals` are traced s from the slice's own start; `windows` are its windows, if it has any.
    """

    records: list[SwfJob]
    arrivals: list[float]
    dropped: Counter[str]
    windows: list[Window]


@register
class Swf(Workload):
    """Replay of `jobs` usable jobs of a Standard Workload Format file, from usable job `start` on.

    - With `select` it is instead all usable jobs of a window of time; with `representative` those
      of windows that are chosen by load (`swf_windows.representative`), each where the one before
      it ends. The trace lists the windows and their loads.
    - Jobs are sorted by submission before any is skipped. The order of the lines does not matter.
    - Interarrival times and runtimes are multiplied by `time_scale`; the first job arrives at
      0 s. The 10 s threshold of bounded slowdown is scaled too and stored in the trace.
    - Processors are multiplied by (processors of our machine / those of the traced one), rounded
      up, at most the whole machine.
    - Every repetition shakes the arrivals: each is moved by an independent uniform draw from
      -`shake` to +`shake` seconds of the trace's own time. A result that depends on one exact
      interleaving of the recorded arrivals then shows as variance (Tsafrir, Ouaknine & Feitelson,
      MASCOTS 2007). Runtimes, sizes and job numbers stay those of the recorded jobs.
    - By default arrivals are an open loop: "preceding job" and "think time" are ignored. With
      `dependencies: scheduler` the scheduler is told to start a job only after the preceding one
      has ended; with `users` the job is submitted the scaled think time after that end.
    """

    # An open loop: its makespan is mostly that of the arrivals.
    quantity: ClassVar[str] = "wait_median"
    causes: ClassVar[Mapping[str, str]] = {"after": "dependencies"}
    kind: Literal["swf"] = "swf"
    file: str = Field(min_length=1, description="Trace, plain or gzip, from the repository root.")
    start: int = Field(default=0, ge=0, le=10**9, description="Usable jobs to skip.")
    jobs: int = Field(default=20, ge=1, le=100_000, description="Usable jobs to replay.")
    time_scale: float = Field(
        default=0.01, ge=SHORTEST, le=1000, description="Our seconds per traced second."
    )
    machine_size: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="Processors of the traced machine; null: from the header.",
    )
    shake: float = Field(
        default=30.0, ge=0, le=LONGEST, description="Largest shift of an arrival, traced s."
    )

    dependencies: Dependencies = Field(
        default="ignore",
        description="Preceding jobs: not heeded, told to the scheduler, or waited for by users.",
    )
    select: Select | None = Field(
        default=None, description="Replay a window of time instead of a number of jobs."
    )
    representative: Representative | None = Field(
        default=None, description="Replay windows chosen by load instead of a number of jobs."
    )

    def cause(self, wanted: str) -> tuple[str, object]:
        """See `Workload.cause`: windows, where these choose the jobs."""
        by = next((name for name in ("select", "representative") if getattr(self, name)), None)
        if by and wanted == "jobs":
            return by, getattr(self, by).model_dump()
        return super().cause(wanted)

    def files(self) -> list[Path]:
        """The trace file."""
        return [Path(self.file)]

    def _slice(self, path: Path) -> _Slice:
        found = self._chosen(path)
        if self.dependencies != "ignore":
            require_one_preceding(path, found.records)
        if self.dependencies == "users":
            require_think_times(path, found.records)
        for record in found.records:
            for field, seconds in ((_RUNTIME, record.runtime), (_LIMIT, record.requested_time)):
                if seconds * self.time_scale > LONGEST:
                    raise line_error(
                        path,
                        record.line,
                        f"field {field + 1} ({FIELDS[field]}) = {seconds:.16g}: at time_scale"
                        f" {self.time_scale:g} more than {LONGEST:.0f} s, which no scheduler takes",
                        "write -1 where it is unknown, lower time_scale, or choose a slice without"
                        " the job",
                    )
        return found

    def _chosen(self, path: Path) -> _Slice:
        # Imported here because numpy takes a tenth of a second and only reading a trace needs it.
        from schedlab.swf.table import read_table

        table = read_table(path)
        if self.select or self.representative:
            return self._windows(path, table)
        wanted = self.start + self.jobs
        usable = table.usable(wanted)
        if len(usable) < wanted:
            raise SchedlabError(
                f"{brief(str(path), 1000)}: has {len(usable)} usable jobs, {wanted} are wanted "
                f"(start {self.start} + jobs {self.jobs})",
                remedy=f"choose start + jobs of at most {len(usable)}"
                if len(usable)
                else "name a trace with jobs",
            )
        chosen = [table.record(int(position)) for position in usable[self.start :]]
        arrivals = [record.submit - chosen[0].submit for record in chosen]
        return _Slice(chosen, arrivals, table.dropped(slice(int(usable[-1]) + 1)), [])

    def _windows(self, path: Path, table: Table) -> _Slice:
        from schedlab.swf.windows import Window, load, representative

        name, size = brief(str(path), 1000), self._size(path)
        if self.representative:
            of = self.representative
            try:
                windows = representative(table, size, of.windows, of.length, of.seed)
            except SchedlabError as error:
                raise SchedlabError(f"{name}: {error.message}", remedy=error.remedy) from error
        else:
            assert self.select
            first, length = self.select.first, self.select.length
            inside, _ = table.within(first, first + length)
            windows = [Window(first, length, load(table, inside, size, length))]
        found = _Slice([], [], Counter(), windows)
        for number, window in enumerate(windows):
            usable, place = table.within(window.first, window.first + window.length)
            if len(found.records) + len(usable) > MOST_JOBS:
                raise SchedlabError(
                    f"{name}: the window of {window.length:g} s from {window.first:g} s on brings "
                    f"the replay to {len(found.records) + len(usable)} usable jobs, {MOST_JOBS} "
                    "are the most",
                    remedy="choose fewer or shorter windows",
                )
            found.dropped.update(table.dropped(place))
            for position in usable:
                record = table.record(int(position))
                found.records.append(record)
                found.arrivals.append(record.submit - window.first + number * window.length)
        if not found.records:
            raise SchedlabError(
                f"{name}: has no usable job from {windows[0].first:g} s to "
                f"{windows[0].first + windows[0].length:g} s",
                remedy="choose another window",
            )
        return found

    def _size(self, path: Path) -> int:
        size = self.machine_size or machine_size(path)
        if size is None:
            raise SchedlabError(
                f"{brief(str(path), 1000)}: its header names neither MaxProcs nor MaxNodes",
                remedy="set machine_size to the processors of the traced machine",
            )
        return size

    def _cores(self, record: SwfJob, machine: Machine, size: int) -> int:
        """Scaled processors of a job, computed in whole numbers to avoid rounding errors."""
        return min(machine.cores, max(1, -(-record.processors * machine.cores // size)))

    def _runtime(self, record: SwfJob) -> float:
        return round(record.runtime * self.time_scale, 6)

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Scaled and shaken jobs, in order of arrival."""
        path = root / self.file
        size = self._size(path)
        chosen = self._slice(path)
        shaker = random.Random(seed)
        shaken = [arrival + shaker.uniform(-self.shake, self.shake) for arrival in chosen.arrivals]
        first = min(shaken)
        jobs = []
        for number, (record, arrival) in enumerate(zip(chosen.records, shaken, strict=True)):
            nodes, cpus = machine.shape(self._cores(record, machine, size))
            runtime = self._runtime(record)
            limit = max(record.requested_time * self.time_scale, 2 * runtime) + _GRACE
            jobs.append(
                Job(
                    number,
                    round((arrival - first) * self.time_scale, 6),
                    nodes,
                    cpus,
                    runtime,
                    user=f"u{record.user}" if record.user >= 0 else "unknown",
                    walltime=float(math.ceil(limit)),
                )
            )
        return with_dependencies(jobs, chosen.records, self.dependencies, self.time_scale)

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """Return what was scaled, rounded and left out."""
        path = root / self.file
        size = self._size(path)
        chosen = self._slice(path)
        followed: set[int] = set()
        later = 0
        if self.dependencies != "ignore":
            followed = {job.job for job in self.jobs_of(machine, seed, root) if job.after}
            numbers: dict[int | None, int] = {
                record.number: place for place, record in enumerate(chosen.records)
            }
            later = sum(
                numbers.get(record.follows, -1) >= place
                for place, record in enumerate(chosen.records)
            )
        fitted = (
            Fitted(
                record.processors * machine.cores,
                size,
                taken(machine, self._cores(record, machine, size)),
                record.runtime * self.time_scale,
                self._runtime(record),
            )
            for record in chosen.records
        )
        limited = [record for record in chosen.records if record.requested_time >= 0]
        longer = sum(
            r.requested_time * self.time_scale < (self.walltime or 2 * self._runtime(r))
            for r in limited
        )
        again = len(chosen.records) - len({record.number for record in chosen.records})
        return {
            "bounded_slowdown_threshold": BOUNDED_SLOWDOWN_THRESHOLD * self.time_scale,
            "file": identity().text(self.file),
            "first_traced_job": chosen.records[0].number,
            "time_scale": self.time_scale,
            "shake": self.shake,
            "traced_processors": size,
            "size_scale": machine.cores / size,
            **facts_of(fitted, machine),
            "jobs_without_limit": len(chosen.records) - len(limited),
            "jobs_with_longer_limit": longer,
            # 0 is the number of a job in few traces, and no job's in those that begin with 1.
            "jobs_with_dependency_ignored": sum(
                record.preceding > 0 and place not in followed
                for place, record in enumerate(chosen.records)
            ),
            "dropped": dict(sorted(chosen.dropped.items())),
            **({"jobs_with_dependency_on_no_earlier_job": later} if later else {}),
            **({"jobs_with_number_of_another": again} if again else {}),
        } | ({"windows": [w._asdict() for w in chosen.windows]} if chosen.windows else {})

    def _to_find(self, path: Path) -> str:
        if self.file.startswith("~") or "$" in self.file:
            return "write the whole path: ~ and $ are read as they stand, as no shell expands them"
        return f"put the trace at {path}, or correct the name"

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """A missing, malformed or too short file; jobs that are wider than the machine."""
        path = root / self.file
        both = [name for name in ("select", "representative") if getattr(self, name)]
        fields = type(self).model_fields
        given = [name for name in ("start", "jobs") if getattr(self, name) != fields[name].default]
        if both and both[1:] + given:
            return [
                Problem(
                    both[0],
                    getattr(self, both[0]).model_dump(),
                    f"given beside {', '.join(both[1:] + given)}",
                    "give one way to choose jobs: start and jobs, select, or representative",
                )
            ]
        if not self.file.isprintable():
            return [Problem("file", self.file, "holds control characters", "rename the file")]
        if set("{}") & set(self.file):  # Snakemake takes what is between them for a wildcard.
            return [Problem("file", self.file, "holds braces", "rename the file")]
        try:
            if not path.is_file():
                remedy = self._to_find(path)
                if path.exists():
                    what = "a folder" if path.is_dir() else "no plain file, but a device or a pipe"
                    return [Problem("file", self.file, what, "name a trace: a file in SWF")]
                return [Problem("file", self.file, "no such file", remedy)]
            size = self._size(path)
            chosen = self._slice(path).records
        except SchedlabError as error:
            return [Problem("file", self.file, error.message, error.remedy or "use another trace")]
        except OSError as error:
            return [Problem("file", self.file, str(error.strerror), "correct the name")]
        wide = [record.processors for record in chosen if record.processors > size]
        if not wide or self.machine_size:
            return []
        return [
            Problem(
                "machine_size",
                None,
                f"{len(wide)} of {len(chosen)} jobs are wider (up to {max(wide)} processors) than "
                f"the {size} processors that the trace's header gives its machine",
                f"set machine_size to the processors of the traced machine; machine_size: {size} "
                "runs those jobs on the whole cluster",
            )
        ]
