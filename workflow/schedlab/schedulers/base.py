"""What the rest of the package knows about a scheduler.

An adapter is one class in a package of its own (`register`), the only place where its scheduler's
name appears in Python. A new scheduler is a new package and an Ansible role.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from schedlab.errors import SchedlabError
from schedlab.schedulers.accounted import Accounted
from schedlab.schedulers.breaking import Breaking
from schedlab.schedulers.installation import Installation, installation_problems, unlocked
from schedlab.schedulers.limits import Lift, Limit
from schedlab.schedulers.programs import ProgramGroup
from schedlab.schedulers.settings import Setting, merged, problems
from schedlab.schedulers.translation import (
    Request,
    Submission,
    cannot_prioritise,
    cannot_wait,
    for_driver,
    groups,
)
from schedlab.schedulers.virtual_nodes import VirtualNodes
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Job, Trace

if TYPE_CHECKING:
    from schedlab.schedulers.rows import NativeJob


PAYLOAD = "/usr/local/bin/schedlab-payload"
STAMPS = "/var/lib/schedlab/stamps.txt"

TIMESTAMPS = ("intended", "submit", "accepted", "allocated", "started", "finished", "completed")
"""Instants of a job in their order; a row has each, and its `<name>_source`."""
RUNS_AGAIN = ("interrupted", "restarted")
"""Instants of a job whose first run was not its last; with their sources too."""

COMPLETED = "COMPLETED"
FAILED = "FAILED"
ENDED_BY_THEMSELVES = (COMPLETED, FAILED)
"""States of jobs whose payload ended before their scheduler said so. The others it ended itself, by
their time limit for example, and what still ran then may have its last instruction later."""
TIMEOUT = "TIMEOUT"
"""The scheduler ended the job when its time limit was over."""
REJECTED = "REJECTED"
"""The scheduler refused the submission."""
NOT_SUBMITTED = "NOT_SUBMITTED"
"""The trial ended before the driver submitted the job."""
UNFINISHED = "UNFINISHED"
"""Still pending or running when the records were taken."""
LOST = "LOST"
"""No record of the scheduler has the job, which it accepted, or may have before it went."""
DUPLICATED = "DUPLICATED"
"""A rank of its payload ran more than once, and no run was given up, or two came to their end."""

PARITY = (
    "gang",
    "accounting",
    "scheduling period",
    "client limits",
    "submission",
    "costs",
    "back-fill",
    "users",
    "priority",
    "dependencies",
    "arrays",
    "time limit",
    "preemption",
    "requeue",
    "logging level",
    "node daemons",
    "a job is translated to",
)
"""Rows of the parity manifest, the same for every scheduler."""


class Exporter(NamedTuple):
    """A Prometheus target, plain HTTP, that the roles install on nodes of a role.

    `job_name` is Prometheus' job, `role` is `head` or `compute`, `port` its TCP port.
    """

    job_name: str
    role: str
    port: int


class Scheduler(Breaking, Accounted, VirtualNodes):
    """One scheduler: how jobs are submitted to it, and how its records become canonical rows."""

    name: ClassVar[str]
    image: ClassVar[str]
    """Image that the clusters' machines start from; schedulers may share one."""
    programs: ClassVar[tuple[ProgramGroup, ...]] = ()
    """Programs built for the image (`schedlab.toolchain.guest_binaries`)."""
    installation: ClassVar[Installation | None] = None
    """Software that settings give for the image; `installation.SETTINGS` are then among them."""
    gang: ClassVar[bool] = True
    """Whether a rank of a job starts only when all ranks of the job have a node."""
    payload: ClassVar[bool] = True
    """Whether jobs run their payload. Otherwise it measures the submitter's ceiling alone."""
    priorities: ClassVar[tuple[int, int]] = (0, 0)
    """Least and largest priority of a trace that can be translated."""
    dependencies: ClassVar[bool] = False
    """Whether a job can be told to wait for the end of others."""
    arrays: ClassVar[bool] = False
    """Whether one submission can make an array of equal jobs. Otherwise each is submitted."""
    roles: ClassVar[tuple[str, ...]]
    """Ansible roles, in the order in which their install parts make the image and their main parts
    set up a cluster; a change of one makes the clusters of this scheduler stale."""
    running_jobs: ClassVar[str] = ""
    """Prometheus query for the number of jobs that run, as the scheduler itself counts them."""
    networks: ClassVar[Mapping[str, str]] = {}
    """Networks (CIDR -> what for) on the scheduler's machines, which no cluster's may overlap."""
    memory_floors: ClassVar[Mapping[str, int]] = {}
    """Role (`head`, `compute`) -> memory (MiB) below which the scheduler does not work."""
    native_settings: ClassVar[Mapping[str, Setting]] = {}
    """Native settings that an experiment may change."""
    other_settings: ClassVar[Setting | None] = None
    """Form of any other native setting; None where an experiment may set no other setting."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """Merge an experiment's settings with the defaults; both shape the native submissions."""
        self.in_force = self.merged_settings(settings or {})

    @abstractmethod
    def translate(self, job: Job, trace: Trace) -> Submission:
        """Return the native submission of a neutral job, of which `cannot` finds no fault."""

    def submissions(self, trace: Trace, trial: str = "") -> list[Submission]:
        """Native submissions of a trace, in order of arrival: one for each job or array.

        `trial` is the id of the trial that they are for, which nothing may depend on but draws.

        Raises
        ------
        SchedlabError
            When the trace wants what the scheduler cannot be given.
        """
        for problem in self.cannot(trace):
            raise SchedlabError(f"{trace.workload}: {problem.what}", remedy=problem.remedy)
        found = []
        for jobs in groups(trace, arrays=self.arrays):
            array = jobs[0].array is not None and self.arrays
            one = self.translate_array(jobs, trace) if array else self.translate(jobs[0], trace)
            found.append(for_driver(one, jobs, array=array))
        return found

    def translate_array(self, jobs: Sequence[Job], trace: Trace) -> Submission:
        """Return the native submission of an array, for a scheduler that has arrays."""
        raise NotImplementedError(f"{self.name} has no arrays")

    def cannot(self, trace: Trace) -> Iterator[Problem]:
        """Yield what a trace wants that this scheduler, as set, cannot be given."""
        remedy = f"use a workload without this priority, or leave out {self.name}"
        yield from cannot_prioritise(trace, self.name, *self.priorities, remedy)
        if not self.dependencies:
            yield from cannot_wait(trace, self.name)
        yield from self.cannot_break(trace)

    def refusals(self, trace: Trace, settings: Mapping[str, str]) -> list[Problem]:
        """Return what `cannot` yields with an experiment's settings."""
        return list(type(self)(settings).cannot(trace))

    def preparation(self, trace: Trace) -> list[dict[str, Any]]:
        """Return requests that the driver sends before the first submission; by default none."""
        return []

    @abstractmethod
    def read_back(self, submission: Mapping[str, Any]) -> Request:
        """Return what a native submission asks the scheduler for, read from it alone."""

    def plan_extra(self) -> dict[str, Any]:
        """Return further keys of the driver's plan: `api`, if jobs are submitted by requests."""
        return {}

    @abstractmethod
    def completion(self) -> dict[str, str]:
        """Return how the driver sees that jobs have ended without asking the scheduler.

        Returns
        -------
        dict
            `log`: file on the head; `pattern`: regular expression of a line that ends a job; the
            first group is the native job id.
        """

    @abstractmethod
    def native_jobs(
        self, native: Path, translations: Sequence[Mapping[str, Any]]
    ) -> dict[str, NativeJob]:
        """What a trial's native records say of each job, by native id.

        :func:`schedlab.schedulers.rows.collect` makes the canonical rows of it.

        Parameters
        ----------
        native : pathlib.Path
            Folder of native record files; any file may be missing or cut short.
        translations : sequence of mapping
            The `submissions` of translations.json.
        """

    @abstractmethod
    def native_commands(self) -> dict[str, list[str]]:
        """Record file name -> command (words) run on the head after the workload."""

    @abstractmethod
    def native_files(self) -> dict[str, str]:
        """Record file name -> file on the head fetched after the workload."""

    @abstractmethod
    def configuration_files(self) -> dict[str, str]:
        """Record file name -> rendered configuration file on the head; holds no secret."""

    @abstractmethod
    def exporters(self) -> list[Exporter]:
        """Prometheus targets."""

    @abstractmethod
    def settings(self, native: Path) -> dict[str, Any]:
        """Return the settings that were in force during the trial, from the native records."""

    @abstractmethod
    def parity(self, native: Path) -> dict[str, str]:
        """Return the parity manifest: row of `PARITY` -> what this scheduler did in the trial."""

    @abstractmethod
    def counters(self, native: Path) -> dict[str, float]:
        """Counters that the scheduler itself reports, such as cycles and their time."""

    def limits(self, settings: Mapping[str, Any], counters: Mapping[str, float]) -> list[Limit]:
        """Limits by `settings` in force, recorded or to be; by default none is known."""
        return []

    def lifts(self) -> list[Lift]:
        """Return the ways to lift the `limits` in force, one at a time."""
        return []

    @abstractmethod
    def health(self, nodes: int, wide: int, delay: float = 0.0) -> list[str]:
        """Return shell commands for the head that succeed if all `nodes` nodes are there and work.

        A job over `wide` of them runs to its end: virtual nodes may be thousands, and a process on
        each would take minutes. With `virtual_delays` these may add `delay` s to a job.
        """

    def variables(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Ansible variables that carry the settings in force (`merged_settings`) to the roles."""
        return {f"{self.name}_settings": dict(settings), **self.cost_variables()}

    @abstractmethod
    def make_secrets(self, folder: Path, nodes: Mapping[str, str]) -> None:
        """Make a cluster's keys and certificates.

        Parameters
        ----------
        folder : pathlib.Path
            The cluster's folder of secrets, readable by its owner only.
        nodes : mapping of str to str
            Node names and their IPv4 addresses.
        """

    @abstractmethod
    def secret_variables(self, folder: Path) -> dict[str, Any]:
        """Ansible variables that tell the roles where the secrets are."""

    def merged_settings(self, overrides: Mapping[str, str]) -> dict[str, str]:
        """Default settings with an experiment's overrides, sorted; keys ignore case."""
        return merged(self.native_settings, overrides)

    def settings_problems(self, overrides: Mapping[str, str]) -> list[Problem]:
        """What is wrong with an experiment's overrides, whatever they run on."""
        found = list(problems(self.native_settings, overrides, others=self.other_settings))
        if self.installation and not found:
            found += installation_problems(self.installation, overrides)
        return found

    def release_problems(self, overrides: Mapping[str, str], release: str) -> list[Problem]:
        """What a release (`DebianImage.release`) cannot have of overrides; none by default."""
        return []

    def trial_problems(
        self, overrides: Mapping[str, str], seconds: float, nodes: int
    ) -> list[Problem]:
        """What a trial of up to `seconds` on up to `nodes` cannot have; none by default."""
        return []

    def unavailable(self) -> str | None:
        """Why clusters cannot have this scheduler with the settings in force, and what remedies it.

        None where they can, as far as a look at files tells. Otherwise the experiment is run
        without its cells, which are named.
        """
        if self.installation is None:
            return None
        return unlocked(self.name, self.installation, self.in_force)

    def check_programs(self, versions: Mapping[str, str]) -> None:
        """Refuse programs in the image whose versions do not go together; accept all by default.

        Parameters
        ----------
        versions : mapping of str to str
            Name of the program group -> version.

        Raises
        ------
        SchedlabError
            When the versions do not go together; the message names versions that do.
        """
        return
