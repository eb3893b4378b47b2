"""What the Snakefile uses: the validated configuration, lists of files, and the lock of a run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from schedlab import design, paths, processes
from schedlab.bridges import bridge_of, bridges, require_known
from schedlab.config import Cluster, Experiment, TrialKey
from schedlab.config.trials import BEYOND, beyond
from schedlab.decisions import Decisions
from schedlab.doctor.findings import require_host
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES
from schedlab.invocation import campaign, chosen, is_dry_run, is_snakemake, parts, results_name
from schedlab.lineage.state import keep, restore
from schedlab.printing import counted, printable
from schedlab.results.provenance import source
from schedlab.results.store import Store
from schedlab.schedulers import has_programs, image_installation, image_roles
from schedlab.sources.stages import content, subject
from schedlab.storage.marks import begin_run, require_own
from schedlab.storage.usage import usage
from schedlab.testbed.supervisor import end_jobs_on_sigterm, remove_abandoned, told_when_stopped
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.installation import given_digest

_held: list[IO[str] | int] = []
_ABOUT = ("image", "cluster", "workload", "figure")
"""Wildcards that may select different sources for jobs of the same rule."""
SPECS: Mapping[str, Callable[..., Any]] = {
    "image": design.image_spec,
    "provision": design.provision_spec,
    "machines": design.machines_spec,
    "workload": Experiment.workload_spec,
    "machine": Experiment.machine_spec,
    "decision": Experiment.decision_spec,
    "trial": Experiment.trial_spec,
    "report": Experiment.report_spec,
}
"""Word that rules use -> function of the experiment that gives what a stage depends on."""


@dataclass(frozen=True)
class Pipeline:
    """The experiment as Snakemake sees it: targets, parameters and sources of each stage.

    Attributes
    ----------
    experiment : Experiment
        The validated configuration.
    config : str
        Path of the configuration file.
    results : str
        Results folder.
    root : pathlib.Path
        The checkout.
    """

    experiment: Experiment
    config: str
    results: str
    root: Path

    @classmethod
    def load(cls, config: str, results: str, root: str) -> Pipeline:
        """Load and validate the configuration before anything starts.

        Raises
        ------
        SystemExit
            When the configuration has faults; the message has all of them, without a traceback.
        """
        try:
            results = results_name(results, Path(root))
            require_own(Path(results))
            os.environ["SCHEDLAB_EXPERIMENTS"] = str(paths.resolved(Path(config), "experiments"))
            os.environ["SCHEDLAB_RESULTS"] = str(Path(results).resolve())
            campaign()
            restore(Path(results))
            found = cls(design.load_experiment(Path(config)), config, results, Path(root))
            require_known(found.bridges, Path(results))
            # Without a run there is no onstart, which tells these.
            again = len(found.bridges)
            for told in design.notices(found.experiment, again) if is_dry_run() else ():
                print(printable(f"schedlab: {told}"), file=sys.stderr)
            return found
        except (SchedlabError, OSError) as error:
            raise SystemExit(printable(f"schedlab: {error}")) from None

    @classmethod
    def start(cls, config: Mapping[str, Any], configfiles: Sequence[object], root: str) -> Pipeline:
        """Load what ``--config`` selects.

        Raises
        ------
        SystemExit
            As for :meth:`load`, and for options that nothing reads.
        """
        processes.settle(again=is_snakemake())
        try:
            shell = os.environ if is_snakemake() else None
            values = chosen(config, configfiles, environment=shell)
        except SchedlabError as error:
            raise SystemExit(printable(f"schedlab: {error}")) from None
        return cls.load(values["experiments"], values["results"], root)

    def sources(self, stage: str, wildcards: Mapping[str, str] | None = None) -> str:
        """Digest of a job's source files (:mod:`schedlab.sources`), a parameter of its rule.

        The digest replaces some sixty input files of each job. Snakemake would check, store and
        list all of them for thousands of jobs.
        """
        about = {name: (wildcards or {}).get(name, "") for name in _ABOUT}
        key = (stage, *about.values())
        if key not in self._contents:
            self._contents[key] = content(subject(self.experiment, stage, about))
        return self._contents[key]

    @cached_property
    def _contents(self) -> dict[tuple[str, ...], str]:
        return {}

    def at(self, path: str) -> str:
        """Path of a file below the results folder, as rules name it."""
        return f"{self.results}/{path}"

    def programs_record(self, image: str) -> list[str]:
        """Record of the programs that are built for an image, where there are any."""
        return [self.at(paths.image_record(image, "programs"))] * has_programs(image)

    def installation(self, image: str) -> str:
        """Digest of the installation that settings give for an image; empty without one."""
        if (installation := image_installation(image)) is None:
            return ""
        return given_digest(installation, design.installation_settings(self.experiment, image))

    def roles(self, image: str) -> str:
        """Roles whose install parts make an image, in the order in which they are applied."""
        return " ".join(image_roles(image))

    def images(self) -> list[str]:
        """Names of the images that the clusters start from."""
        return design.images(self.experiment)

    @staticmethod
    def one_of(names: Iterable[str]) -> str:
        """Regular expression that these names match, and nothing else."""
        return f"(?:{'|'.join(map(re.escape, names))})"

    def image_record(self, machines: str) -> str:
        """Record of the image that machines start from."""
        image = design.image_of(self.experiment, self.machines[machines])
        return self.at(paths.image_record(image, "image"))

    def provisioned_record(self, cluster: str) -> str:
        """Record of the machines that a cluster is configured on."""
        machines = design.machines_of(self.experiment, self.clusters[cluster])
        return self.at(paths.cluster_record(machines, "provisioned"))

    def trace_record(self, trial: Mapping[str, str]) -> str:
        """Record of the trace that a trial runs."""
        machine = self.experiment.machine_name(self.clusters[trial["cluster"]])
        return self.at(paths.trace_record(trial["workload"], machine, trial["repetition"]))

    @cached_property
    def decisions(self) -> Decisions:
        """Which decisions are made, and what waits for them."""
        return Decisions(self.experiment, self.results, self.order)

    @cached_property
    def bridges(self) -> frozenset[TrialKey]:
        """Finished trials that run again beside cells that were added."""
        return bridges(self.experiment, Path(self.results))

    def bridge(self, trial: Mapping[str, str]) -> str:
        """Option that makes a trial a bridge; it stays that of the trial once it ran as one."""
        key = TrialKey(trial["cluster"], trial["workload"], int(trial["repetition"]))
        run = campaign() if key in self.bridges else bridge_of(Path(self.results), key)
        return f"--bridge {shlex.quote(run)}" if run else ""

    def settings(self, cluster: str) -> str:
        """Scheduler settings of the configuration that reach the playbook, as canonical JSON."""
        return json.dumps(design.variables(self.clusters[cluster]), sort_keys=True)

    def workload_files(self, workload: str) -> list[str]:
        """Files from which a workload's traces are made."""
        return [str(path) for path in self.experiment.workload(workload).files()]

    def figures(self) -> list[str]:
        """Names of the figures in the report."""
        return list(FIGURES)

    def imported(self) -> list[str]:
        """Files that describe the imports; each changes when the trials of its import change."""
        found = Path(self.results).glob(f"{paths.IMPORTED}/*/{paths.IMPORT}")
        return sorted(str(path) for path in found)

    def include(self, names: str) -> str:
        """Options of `schedlab bundle` for names that are separated by commas."""
        return " ".join(f"--include {shlex.quote(name)}" for name in parts(names))

    def source_state(self) -> str:
        """Commit, and digest of uncommitted changes, on which the source in a bundle depends."""
        state = source(self.root, Path(self.results)) or {}
        return f"{state.get('commit')}+{str(state.get('diff'))[:16]}"

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        """Clusters by id."""
        return {cluster.id: cluster for cluster in self.experiment.clusters()}

    @cached_property
    def machines(self) -> dict[str, Cluster]:
        """Provisioned machines by id, each with a cluster that is configured on them."""
        return design.machines(self.experiment)

    @cached_property
    def order(self) -> dict[tuple[str, str, str], int]:
        """Place of each trial in the order in which they run, by its wildcards."""
        return {
            (key.cluster, key.workload, str(key.repetition)): place
            for place, key in enumerate(self.trials)
        }

    @cached_property
    def trials(self) -> list[TrialKey]:
        """Every trial, in the order in which they run."""
        return self.experiment.trials()

    def priority(self, trial: Mapping[str, str]) -> int:
        """Priority of a trial: the first of the order has the highest.

        The decision on a trial has one more, so that it is made in the trial's turn. Trials beyond
        the experiment, which may be asked for by name, come last, and in a random order too.
        """
        key = (trial["cluster"], trial["workload"], trial["repetition"])
        if key not in self.order:
            named = TrialKey(trial["cluster"], trial["workload"], int(trial["repetition"]))
            return 2 * (BEYOND - beyond(self.experiment.seed, named))
        return 2 * (1 + BEYOND + len(self.trials) - self.order[key])

    def spec(self, kind: str, *names: Any) -> str:
        """Part of the configuration that a stage depends on, as canonical JSON for ``params``."""
        value = SPECS[kind](self.experiment, *names)
        return json.dumps(value, sort_keys=True)

    def trace_seed(self, trace: Mapping[str, str]) -> int:
        """Seed of a trace, derived from the experiment's seed."""
        return self.experiment.trace_seed(trace["workload"], int(trace["repetition"]))

    def trial_spec(self, trial: Mapping[str, str]) -> str:
        """Part of the configuration that a trial depends on."""
        key = TrialKey(trial["cluster"], trial["workload"], int(trial["repetition"]))
        return self.spec("trial", key)

    def trial_records(self) -> list[str]:
        """Records of all trials, in the order in which they run."""
        return [
            self.at(paths.trial_record(key.cluster, key.workload, key.repetition))
            for key in self.trials
        ]

    def first_configured(self) -> list[str]:
        """Records of the clusters that are configured before the first trial.

        Whether one with a lifted limit is needed is decided by trials.
        """
        later = self.experiment.lifted_clusters()
        names = [name for name in self.clusters if name not in later]
        return [self.at(paths.cluster_record(name, "configured")) for name in names]

    def cluster_records(self, state: str) -> list[str]:
        """Records of all clusters in one state."""
        names = self.machines if state == "provisioned" else self.clusters
        return [self.at(paths.cluster_record(name, state)) for name in names]

    def all_records(self) -> list[str]:
        """Records of every stage before the tables; the report shows them."""
        images = [
            self.at(paths.image_record(image, stage))
            for image in self.images()
            for stage in ("base", "image")
        ]
        programs = [name for image in self.images() for name in self.programs_record(image)]
        clusters = self.cluster_records("provisioned") + self.cluster_records("configured")
        host = [self.at(paths.TOOLCHAIN), self.at(paths.ACCELERATOR)]
        return [*host, *programs, *images, *clusters, *self.traces(), *self.trial_records()]

    def traces(self) -> list[str]:
        """Records of the traces that the trials run, without repetitions."""
        machines = {name: self.experiment.machine_name(one) for name, one in self.clusters.items()}
        return sorted(
            {
                self.at(paths.trace_record(key.workload, machines[key.cluster], key.repetition))
                for key in self.trials
            }
        )

    def products(self) -> list[str]:
        """Tables and pictures; only `all` has them as inputs, because they may be large."""
        tables = [self.at(f"{paths.TABLES}/{name}") for name in paths.TABLE_FILES]
        return [*tables, *(self.at(paths.figure_file(name)) for name in FIGURES)]

    @told_when_stopped()
    def begin(self) -> None:
        """Take the locks of a run on this results folder and print what the run needs.

        The kernel releases the locks when this process ends for any reason.

        Raises
        ------
        SystemExit
            When another run works on the same results, the disk is too small, or a signal comes.
        """
        folder = Path(self.results)
        try:
            _held.extend(begin_run(folder))
            # Where no cache can be written, nothing of it can be removed either.
            with contextlib.suppress(OSError):
                _held.append(Cache.default().keep())
        except (SchedlabError, OSError) as error:
            raise SystemExit(printable(f"schedlab: {error}")) from None
        end_jobs_on_sigterm()
        self.keep_state()
        for path in remove_abandoned(folder):
            print(f"schedlab: removed {path}, left by an interrupted run", flush=True)
        try:
            require_host(self.experiment, folder)
        except SchedlabError as error:
            raise SystemExit(printable(f"schedlab: {error}")) from None
        for told in design.notices(self.experiment, len(self.bridges)):
            print(printable(f"schedlab: {told}"), flush=True)
        memory = max(c.memory_total_mib for c in self.clusters.values())
        free = shutil.disk_usage(folder).free / 2**30
        print(
            f"schedlab: {counted(len(self.clusters), 'cluster')}, "
            f"{counted(len(self.trials), 'trial')}; the largest cluster needs "
            f"{memory / 1024:.1f} GiB of memory, the results up to "
            f"{self.experiment.limits.disk_mib / 1024:.0f} GiB of disk ({free:.0f} GiB free)",
            flush=True,
        )

    def keep_state(self) -> None:
        """Copy Snakemake's metadata of the results into the results folder."""
        keep(Path(self.results))

    def summarise(self) -> None:
        """Print what memory and disk were used, and where the report is, if there is one."""
        self.keep_state()
        used = usage(Path(self.results).resolve()).bytes
        told = [f"the results use {used / 2**30:.1f} GiB of disk"]
        store, start = Store(Path(self.results)), self.at("")
        records = self.cluster_records("provisioned") + self.cluster_records("configured")
        made = [store.record(name.removeprefix(start)) or {} for name in records]
        if largest := max((record.get("resident_mib", 0) for record in made), default=0):
            told.insert(0, f"the largest cluster had {largest / 1024:.1f} GiB of memory resident")
        if (report := Path(self.results) / paths.REPORT).exists():
            told.append(f"report: {report}")
        print(f"schedlab: {'; '.join(told)}")
