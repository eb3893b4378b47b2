"""What the Snakefile asks of the package: validated configuration, file lists, one-run lock."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from schedlab import design
from schedlab.config import Cluster, Experiment
from schedlab.doctor.findings import require_host
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES
from schedlab.images.base import role_files
from schedlab.lineage.state import keep, restore
from schedlab.paths import IMPORT, IMPORTED, TABLE_FILES
from schedlab.printing import printable
from schedlab.results.provenance import source
from schedlab.schedulers import get_scheduler, image_programs, image_roles
from schedlab.sources import (
    configure_sources,
    image_sources,
    program_sources,
    sources,
    trial_sources,
)
from schedlab.testbed.supervisor import remove_abandoned

_held: list[IO[str]] = []


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
        """Load and validate the configuration; refuse nonsense before anything starts.

        Raises
        ------
        SystemExit
            With every problem found, so that the message is not buried in a traceback.
        """
        os.environ["SCHEDLAB_EXPERIMENTS"] = str(Path(config).resolve())
        os.environ["SCHEDLAB_RESULTS"] = str(Path(results).resolve())
        restore(Path(results))
        try:
            return cls(design.load_experiment(Path(config)), config, results, Path(root))
        except SchedlabError as error:
            raise SystemExit(printable(f"schedlab: {error}")) from None

    def sources(self, stage: str, **fields: str) -> list[str]:
        """Source files of a stage (see :mod:`schedlab.sources`)."""
        return sources(self.root, stage, **fields)

    def image_sources(self, image: str) -> list[str]:
        """Source files of an image: Packer template, guest programs, roles."""
        return image_sources(self.root, image_roles(image), programs=bool(image_programs(image)))

    def trial_sources(self, cluster: str) -> list[str]:
        """Source files of a cluster's trials, its scheduler's adapter among them."""
        adapter = get_scheduler(self.cluster(cluster).scheduler)
        return trial_sources(self.root, adapter.modules)

    def programs_record(self, image: str) -> list[str]:
        """Record of the programs that are built for an image, where there are any."""
        return [f"{self.results}/images/{image}/programs/record.json"] * bool(image_programs(image))

    def configure_sources(self, cluster: str) -> list[str]:
        """Source files of a cluster's configuration: playbook, roles, inventory."""
        adapter = get_scheduler(self.cluster(cluster).scheduler)
        return configure_sources(self.root, adapter.roles)

    def program_sources(self, image: str) -> list[str]:
        """Files that pin and describe the programs of an image."""
        return program_sources(self.root, [group.folder for group in image_programs(image)])

    def role_files(self, image: str) -> list[str]:
        """Files in which the roles of an image say what they need of its base disk."""
        return [path.relative_to(self.root).as_posix() for path in role_files(image)]

    def images(self) -> list[str]:
        """Names of the images that the clusters start from."""
        return design.images(self.experiment)

    def image_record(self, cluster: str) -> str:
        """Record of the image that a cluster starts from."""
        return f"{self.results}/images/{design.image_of(self.cluster(cluster))}/image/record.json"

    def settings(self, cluster: str) -> str:
        """Scheduler settings of the configuration that reach the playbook, as canonical JSON."""
        return json.dumps(design.variables(self.experiment, self.cluster(cluster)), sort_keys=True)

    def workload_files(self, workload: str) -> list[str]:
        """Files that a workload's traces are cut from."""
        spec = self.experiment.workload_spec(workload)
        return [spec["file"]] if spec.get("file") else []

    def figures(self) -> list[str]:
        """Names of the figures in the report."""
        return list(FIGURES)

    def imported(self) -> list[str]:
        """What says of each import where its trials are from; it changes with them."""
        return sorted(str(path) for path in Path(self.results).glob(f"{IMPORTED}/*/{IMPORT}"))

    def include(self, names: str) -> str:
        """Options of `schedlab bundle` for a list of names with commas between."""
        return " ".join(f"--include {shlex.quote(name)}" for name in names.split(",") if name)

    def source_state(self) -> str:
        """Commit, and digest of what is not committed: what a bundle's source depends on."""
        state = source(self.root, Path(self.results)) or {}
        return f"{state.get('commit')}+{str(state.get('diff'))[:16]}"

    def cluster(self, cluster: str) -> Cluster:
        """Look a cluster up by its id."""
        return next(c for c in self.experiment.clusters() if c.id == cluster)

    def spec(self, kind: str, *names: str) -> str:
        """Part of the configuration that a stage depends on, as canonical JSON for ``params``."""
        name = f"{kind}_spec"
        # What shapes images and clusters depends on the schedulers too.
        if hasattr(design, name):
            value: Any = getattr(design, name)(self.experiment, *names)
        else:
            value = getattr(self.experiment, name)(*names)
        return json.dumps(value, sort_keys=True)

    def trial_records(self) -> list[str]:
        """Records of all trials, in the order in which they run."""
        return [
            f"{self.results}/trials/{key.cluster}/{key.workload}/{key.repetition}/record.json"
            for key in self.experiment.trials()
        ]

    def cluster_records(self, state: str) -> list[str]:
        """Records of all clusters in one state."""
        return [
            f"{self.results}/clusters/{cluster.id}/{state}/record.json"
            for cluster in self.experiment.clusters()
        ]

    def all_records(self) -> list[str]:
        """Records of every stage before the tables; the report shows them."""
        images = [
            f"{self.results}/images/{image}/{stage}/record.json"
            for image in self.images()
            for stage in ("base", "image")
        ]
        programs = [name for image in self.images() for name in self.programs_record(image)]
        clusters = self.cluster_records("provisioned") + self.cluster_records("configured")
        host = [f"{self.results}/{name}.json" for name in ("toolchain", "accelerator")]
        return [*host, *programs, *images, *clusters, *self.traces(), *self.trial_records()]

    def traces(self) -> list[str]:
        """Records of the traces that the trials run, each once."""
        names = {
            f"{key.workload}-n{self.cluster(key.cluster).nodes}-r{key.repetition}"
            for key in self.experiment.trials()
        }
        return [f"{self.results}/traces/{name}.record.json" for name in sorted(names)]

    def products(self) -> list[str]:
        """Tables and pictures: of any size, so that only `all` has them, and not their records."""
        pictures = [f"{self.results}/figures/{name}.svg" for name in FIGURES]
        return [*(f"{self.results}/tables/{name}" for name in TABLE_FILES), *pictures]

    def begin(self) -> None:
        """Take the lock of this results folder and say what the run needs.

        The kernel releases the lock with this process, however it ends.

        Raises
        ------
        SystemExit
            When another run works on the same results, or the disk cannot hold them.
        """
        folder = Path(self.results)
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"schedlab: another run works on {self.results}; wait for it or end it"
            ) from None
        _held.append(handle)
        self.keep_state()
        for path in remove_abandoned(folder):
            print(f"schedlab: removed {path}, left by an interrupted run", flush=True)
        try:
            require_host(self.experiment, folder)
        except SchedlabError as error:
            raise SystemExit(printable(f"schedlab: {error}")) from None
        memory = max(c.memory_total_mib for c in self.experiment.clusters())
        free = shutil.disk_usage(folder).free / 2**30
        print(
            f"schedlab: {len(self.experiment.clusters())} clusters, "
            f"{len(self.experiment.trials())} trials; the largest cluster needs "
            f"{memory / 1024:.1f} GiB of memory, the results up to "
            f"{self.experiment.limits.disk_mib / 1024:.0f} GiB of disk ({free:.0f} GiB free)",
            flush=True,
        )

    def keep_state(self) -> None:
        """Keep with the results what Snakemake knows of them."""
        keep(Path(self.results))

    def summarise(self) -> None:
        """Say where the report is, and what memory and disk were used."""
        self.keep_state()
        used = sum(p.stat().st_blocks * 512 for p in Path(self.results).rglob("*") if p.is_file())
        largest = 0
        for name in self.cluster_records("provisioned") + self.cluster_records("configured"):
            if Path(name).exists():
                largest = max(largest, json.loads(Path(name).read_text()).get("resident_mib", 0))
        print(
            f"schedlab: the largest cluster had {largest / 1024:.1f} GiB of memory resident, the "
            f"results use {used / 2**30:.1f} GiB of disk; report: {self.results}/report.html"
        )
