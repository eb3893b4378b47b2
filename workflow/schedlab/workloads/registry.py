"""Base class of workload kinds, and the register of all kinds.

A kind is one pydantic model in one module of this package. Its fields are the parameters that a
user writes in the experiment, and its `jobs_of` makes the jobs of the neutral trace. The package
imports every module of its folder, so adding a kind takes one new file and no other change.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field

from schedlab.errors import SchedlabError
from schedlab.workloads.background import WAITING, Background
from schedlab.workloads.fault import Fault
from schedlab.workloads.trace import Job, Machine, Trace

LONGEST = 1e9
"""Largest time (s) that a parameter may give; times that fit `limits.trial` are far smaller."""
SHORTEST = 1e-6
"""Smallest time (s) that a parameter may give which is not 0, and smallest scale of one: traces
have whole microseconds, so that a job of less, or a second that is scaled to less, takes none."""
LONGEST_NAME = 40
"""Most characters of a name."""
Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=LONGEST_NAME),
]
"""Lower-case letters, digits and single hyphens: part of file names and of host names."""


@dataclass(frozen=True)
class Problem:
    """A fault of a parameter that its type alone does not show.

    Parameters
    ----------
    key : str
        Parameter, relative to the workload (or section) that reports it.
    value : object
        Offending value.
    what : str
        What is wrong.
    remedy : str
        What to do.
    unused : bool
        Whether the fault is that another parameter goes before it.
    """

    key: str
    value: object
    what: str
    remedy: str
    unused: bool = field(default=False, kw_only=True)


def with_name(data: Any, key: str) -> Any:
    """Data of a section in which the inner workload has the name that the section has under a key.

    Where that is missing or no name, it is reported there, and not once more within.
    """
    if not isinstance(data, dict) or not isinstance(data.get("workload"), dict):
        return data
    name = data.get(key)
    sound = isinstance(name, str) and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    given = name if sound and len(str(name)) <= 40 else "inner"
    return {**data, "workload": {"name": given, **data["workload"]}}


class Workload(BaseModel, ABC):
    """Parameters common to all kinds; a subclass adds its own and `kind: Literal["..."]`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    quantity: ClassVar[str] = "makespan"
    """Main quantity of the kind, which `repetitions: {until: ...}` looks at. A key of
    `schedlab.metrics.quantities.QUANTITIES`."""

    urgent_user: ClassVar[str | None] = None
    """User of the urgent jobs, in a kind in which they are urgent without priority too."""

    causes: ClassVar[Mapping[str, str]] = {}
    """What jobs may want (`priority`, `after`, `array`) -> parameter that makes them want it."""

    name: Name = Field(description="Unique name within the experiment.")
    kind: str
    background: Background | None = Field(
        default=None, description="Load that is there before the workload and stays."
    )
    fault: Fault | None = Field(default=None, description="What breaks while the workload runs.")
    requeue: bool = Field(
        default=False,
        description="Whether a job that its scheduler gave up, because its node was lost or an"
        " urgent job took its place, may start again.",
    )
    walltime: float | None = Field(
        default=None,
        ge=1,
        le=LONGEST,
        description="Time limit of every job, s; null: the kind's own, mostly twice the job's"
        " runtime and a minute.",
    )

    @property
    def base(self) -> str:
        """Name of the workload whose background this is one level of; its own without levels."""
        return (self.background and self.background.level_of) or self.name

    @property
    def steps(self) -> int:
        """Trials that together make one repetition: 1, but more for a search."""
        return 1

    @property
    def confirms(self) -> bool:
        """Whether it also runs on clusters whose limits are lifted."""
        return False

    @property
    def fastest(self) -> float | None:
        """Highest rate of arrivals that a search tries, 1/s; None for what is no search."""
        return None

    @property
    def without_users(self) -> str:
        """What to do where all jobs must be one user's; empty for a kind that has a sense then."""
        return ""

    def limiting(self, inner: Workload) -> Workload:
        """Return an inner workload with the time limit of this one, which its jobs will have."""
        return inner.model_copy(update={"walltime": self.walltime}) if self.walltime else inner

    @abstractmethod
    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs of the workload on a machine, in order of arrival.

        Parameters
        ----------
        machine : Machine
            Compute nodes that the jobs will run on.
        seed : int
            Source of every random choice: the same seed gives the same jobs.
        root : pathlib.Path
            Folder that relative file names are relative to.
        """

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """Facts about scaling to add to the trace of a seed; none by default."""
        return {}

    def cause(self, wanted: str) -> tuple[str, object]:
        """Parameter that makes jobs want something, and its value as the user wrote it."""
        known = wanted.partition(".")[0] in type(self).model_fields
        key = self.causes.get(wanted, wanted if known else "kind")
        value: object = self
        for step in key.split("."):
            value = getattr(value, step, None)
        if isinstance(value, list):
            value = [
                one.model_dump(exclude_unset=True) if isinstance(one, BaseModel) else one
                for one in value
            ]
        return key, value

    def parted(self, wanted: str) -> Iterator[tuple[Workload, str, object]]:
        """Each part as a workload of its own, with what `cause` says of it; none by default."""
        yield from ()

    def files(self) -> list[Path]:
        """Files that the jobs are made from, as written in the experiment; rule inputs."""
        return []

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """Return the faults of the parameters on the machines of the experiment."""
        return []

    def generate(self, machine: Machine, seed: int, root: Path | None = None) -> Trace:
        """Make the neutral trace.

        Parameters
        ----------
        machine : Machine
            Compute nodes that the jobs will run on.
        seed : int
            From `Experiment.trace_seed`.
        root : pathlib.Path, optional
            Folder that relative file names are relative to; default: the working folder.

        Raises
        ------
        SchedlabError
            When an input file is malformed, or the trace does not fit the machine.
        """
        base = Path() if root is None else root
        jobs = self.jobs_of(machine, seed, base)
        scale = self.scale_of(machine, seed, base)
        if self.walltime is not None:
            jobs = self._limited(jobs, self.walltime)
        if self.background:
            self._require_room(jobs, machine)
            jobs = self.background.before(jobs, machine)
            scale = scale | {"background": self.background.facts(machine)}
        if self.requeue:
            jobs = [replace(job, requeue=not job.background) for job in jobs]
        if self.fault:
            self._require_start(self.fault, jobs, machine)
            lead = self.background.lead if self.background else 0.0
            scale = scale | {"fault": self.fault.facts(machine, seed, lead)}
        trace = Trace(self.name, self.kind, seed, machine, tuple(jobs))
        trace.scale.update(scale)
        return trace

    def _limited(self, jobs: list[Job], walltime: float) -> list[Job]:
        longest = max(jobs, key=lambda job: job.runtime, default=None)
        if longest is not None and longest.runtime > walltime:
            raise SchedlabError(
                f"job {longest.job} of workload {self.name} runs {longest.runtime:g} s, longer than"
                f" its walltime of {walltime:g} s",
                remedy=f"set walltime to {math.ceil(longest.runtime)} or more",
            )
        return [replace(job, walltime=walltime) for job in jobs]

    def _require_room(self, jobs: list[Job], machine: Machine) -> None:
        assert self.background
        taken = self.background.taken(machine)
        if taken.nodes * taken.cpus >= machine.cores:
            raise SchedlabError(
                f"workload {self.name} has a background, and the nodes have one processor: it"
                " would take all",
                remedy="set node.vcpus to 2 or more, or leave out background",
            )
        behind = self.background.behind(jobs)
        if behind is not None:
            raise SchedlabError(
                f"job {behind.job} of workload {self.name} has priority {behind.priority}, and the"
                f" waiting jobs of its background, which are there before it and never start, have"
                f" {WAITING}: a scheduler that keeps the order never starts it",
                remedy=f"raise all priorities until the lowest is {WAITING + 1}, or set"
                " background.pending to 0",
            )
        wide = self.background.too_wide(jobs, machine)
        if wide is not None:
            raise SchedlabError(
                f"job {wide.job} of workload {self.name} wants {wide.cpus} processors of a node, on"
                f" {wide.nodes} of {machine.nodes}; of the {machine.cpus_per_node} of a node"
                f" {taken.cpus} are the background's, on {taken.nodes}: it can never start",
                remedy=f"set background.{self.background.lowered}, or make the jobs smaller",
            )

    def _require_start(self, fault: Fault, jobs: list[Job], machine: Machine) -> None:
        stranded = fault.stranded([job for job in jobs if not job.background], machine)
        if stranded is not None:
            raise SchedlabError(
                f"job {stranded.job} of workload {self.name} wants {stranded.nodes} of"
                f" {machine.nodes} compute nodes, of which one does not come back: it may never"
                " start",
                remedy="give fault.lasts, leave out the small node counts, or make the jobs"
                " narrower",
            )


WHOLE = ("background", "fault", "requeue", "walltime")
"""Keys that a workload of another kind within a workload cannot have."""


def given_within(inner: Workload, place: str, beside: str) -> Iterator[Problem]:
    """Yield what an inner workload is given that only the whole workload can have.

    Parameters
    ----------
    inner : Workload
        The inner workload.
    place : str
        Its key.
    beside : str
        Key beside which these are given.
    """
    for key in WHOLE:
        if value := getattr(inner, key):
            written = value.model_dump() if isinstance(value, BaseModel) else value
            remedy = f"give {key} beside {beside}"
            yield Problem(f"{place}.{key}", written, "given for an inner workload", remedy)


def walltime(runtime: float) -> float:
    """Time limit (s) requested for a job of known runtime (s).

    It is twice the runtime plus a minute. Launching takes seconds on emulated guests, and a limit
    that ends a healthy job would measure the emulator instead of the scheduler. Where hundreds of
    jobs start at one time on a carrier it takes longer: workloads have their own `walltime`.
    """
    return 60.0 + 2.0 * runtime


MOST_JOBS = 100_000
"""Most jobs of a trace; making and checking that many takes about a second."""

KINDS: dict[str, type[Workload]] = {}

_W = TypeVar("_W", bound=Workload)


def register(kind: type[_W]) -> type[_W]:
    """Class decorator: make a kind known under the default of its `kind` field.

    Raises
    ------
    ValueError
        When the field has no default, or the name is taken.
    """
    name = kind.model_fields["kind"].default
    if not isinstance(name, str) or name in KINDS:
        raise ValueError(f"{kind.__name__}: kind {name!r} is not a name, or is taken")
    KINDS[name] = kind
    return kind


def urgent_user(kind: str) -> str | None:
    """User of the urgent jobs of a kind's traces; None where their priority alone tells them."""
    known = KINDS.get(kind)
    return known.urgent_user if known else None


COMPOSITE: list[type[BaseModel]] = []
"""Models with a workload of another kind in them, from the inside to the outside. Its type is
written `PartWorkload`, and is known only when all kinds are."""


def complete_unions() -> None:
    """Give the models in `COMPOSITE` the type of their inner workload: any kind without one."""
    plain = workload_union(kind for kind in KINDS.values() if kind not in COMPOSITE)
    for model in COMPOSITE:
        model.model_rebuild(force=True, _types_namespace={"PartWorkload": plain})


def workload_union(kinds: Iterable[type[Workload]] | None = None) -> Any:
    """Type of one workload of some kinds, by default of any, discriminated by `kind`."""
    members = tuple(sorted(kinds or KINDS.values(), key=lambda kind: kind.__name__))
    return Annotated[Union[members], Field(discriminator="kind")]  # noqa: UP007  (made at run time)


def workload_from(spec: Mapping[str, Any]) -> Workload:
    """Rebuild a workload from `Experiment.workload_spec`.

    Raises
    ------
    SchedlabError
        When the kind is not registered.
    """
    kind = KINDS.get(str(spec.get("kind")))
    if kind is None:
        raise SchedlabError(
            f"workload kind {spec.get('kind')!r} is not registered",
            remedy=f"use one of {', '.join(sorted(KINDS))}",
        )
    return kind.model_validate(dict(spec))
