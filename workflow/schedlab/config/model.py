"""The experiment: what a user may write in config/experiments.yaml, with defaults and meanings.

Types, ranges and forms are checked here and in `sections`; what needs the host, the file system or
two keys at once is checked in `checks`. Every section refuses unknown keys.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from schedlab import workloads as kinds
from schedlab.config.sections import (
    CloudImage,
    DebianImage,
    Guest,
    Head,
    Libvirt,
    Limits,
    Metrics,
    NativeSettings,
    Network,
    Placement,
    Section,
)
from schedlab.config.variants import (
    Again,
    Image,
    NamedVariant,
    NumberOrRepetitions,
    Repetitions,
    Variant,
    with_inherited,
)
from schedlab.errors import SchedlabError
from schedlab.workloads import Machine, Trace
from schedlab.workloads.registry import Name, Workload

if TYPE_CHECKING:
    AnyWorkload = Workload
else:
    AnyWorkload = kinds.workload_union()


def copy_suffix(number: int) -> str:
    """End of the ids of what is made anew for a further equal cluster; the first has none."""
    return f"-c{number}" if number > 1 else ""


@dataclass(frozen=True)
class Cluster:
    """One virtual cluster of the experiment: a head and equal compute nodes.

    Attributes
    ----------
    variant : str
        Name of its variant: its series in tables, figures and report.
    scheduler : str
        Name of the adapter.
    number : int
        Which of a variant's equal clusters it is, from 1.
    settings : mapping of str to str
        Native settings that are written for it: the variant's over the experiment's.
    """

    variant: str
    scheduler: str
    nodes: int
    number: int
    head: Guest
    node: Guest
    placement: Placement
    image: DebianImage | CloudImage
    metrics: Metrics
    settings: Mapping[str, str] = field(hash=False)

    @property
    def id(self) -> str:
        """For example alpha-n2, and alpha-n2-c3 for the third that is equal to it."""
        return f"{self.variant}-n{self.nodes}{copy_suffix(self.number)}"

    @property
    def cores(self) -> int:
        """Processors of the compute nodes."""
        return self.nodes * self.node.vcpus

    @property
    def vcpus_total(self) -> int:
        """Virtual processors with the head's."""
        return self.head.vcpus + self.cores

    @property
    def memory_total_mib(self) -> int:
        """Memory with the head's, MiB."""
        return self.head.memory_mib + self.nodes * self.node.memory_mib

    @property
    def machine(self) -> Machine:
        """The compute part, as workloads see it."""
        return Machine(self.nodes, self.node.vcpus)

    def machines(self) -> dict[str, Guest]:
        """Guests by name, the head first: head, compute1, compute2, ..."""
        return {
            "head": self.head,
            **{f"compute{number}": self.node for number in range(1, self.nodes + 1)},
        }

    @property
    def reset(self) -> Literal["restore", "boot"]:
        """How a trial gets its cluster: passed-through devices cannot be saved."""
        return "boot" if self.placement.pci or self.placement.reset == "boot" else "restore"


@dataclass(frozen=True)
class TrialKey:
    """One run of one workload on one cluster."""

    cluster: str
    workload: str
    repetition: int

    @property
    def id(self) -> str:
        """For example alpha-n1.burst.1."""
        return f"{self.cluster}.{self.workload}.{self.repetition}"


class Experiment(Section):
    """The whole experiment: clusters = variants x nodes, trials = clusters x workloads x R."""

    name: Name = Field(default="default", description="Name of the experiment.")
    seed: int = Field(
        default=20260901, ge=0, le=2**63 - 1, description="Source of every random choice."
    )
    repetitions: NumberOrRepetitions = Field(
        default=Repetitions(), description="Trials of each cell."
    )
    schedulers: list[NamedVariant] = Field(
        default=[Variant(name="slurm")],
        min_length=1,
        description="Variants: registered schedulers, or mappings with what is their own.",
    )
    aa: Again = Field(
        default=False,
        description="Run the first variant, or the one named, a second time under another label.",
    )
    nodes: list[Annotated[int, Field(ge=1, le=128)]] = Field(
        default=[1, 2], min_length=1, description="Compute node counts."
    )
    node: Guest = Guest()
    head: Head = Head()
    placement: Placement = Placement()
    image: Image = DebianImage()
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        default="auto", description="auto: probed by booting a guest."
    )
    libvirt: Libvirt = Libvirt()
    network: Network = Network()
    metrics: Metrics = Metrics()
    limits: Limits = Limits()
    settings: dict[str, NativeSettings] = Field(
        default={}, description="Native settings over a scheduler's defaults, by scheduler."
    )
    left_out: dict[str, str] = Field(
        default={},
        description="Written by the run, beside its results: variants without cells, and why.",
    )
    workloads: list[AnyWorkload] = Field(min_length=1, description="Workloads, by kind.")

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, data: Any) -> Any:
        return with_inherited(data)

    def again(self) -> Variant | None:
        """Variant that runs a second time under another label; None without one."""
        if self.aa is False:
            return None
        there = self.present()
        wanted = there[0].name if there and self.aa is True else self.aa
        return next((one for one in there if one.name == wanted), None)

    def present(self) -> list[Variant]:
        """Variants that are not left out, in the order written."""
        return [one for one in self.schedulers if one.name not in self.left_out]

    def variants(self) -> list[Variant]:
        """Variants in the order written, and after them the one that runs a second time."""
        again = self.again()
        return [*self.present(), *([again.again()] if again else [])]

    def clusters(self) -> list[Cluster]:
        """Clusters: variants and node counts in the order written, then the further equal ones."""
        return [
            self._cluster(variant, nodes, number)
            for number in range(1, self.repetitions.clusters + 1)
            for variant in self.variants()
            for nodes in self.nodes
        ]

    def _cluster(self, variant: Variant, nodes: int, number: int) -> Cluster:
        return Cluster(
            variant=variant.name,
            scheduler=variant.adapter,
            nodes=nodes,
            number=number,
            head=variant.head or self.head,
            node=variant.node or self.node,
            placement=variant.placement or self.placement,
            image=variant.image or self.image,
            metrics=variant.metrics or self.metrics,
            settings={**self.settings.get(variant.adapter, {}), **variant.settings},
        )

    def cluster(self, cluster_id: str) -> Cluster:
        """Cluster of an id.

        Raises
        ------
        SchedlabError
            When the experiment has none of that id.
        """
        found = {cluster.id: cluster for cluster in self.clusters()}
        if cluster_id not in found:
            raise SchedlabError(
                f"the experiment has no cluster {cluster_id!r}",
                remedy=f"use one of {', '.join(found)}",
            )
        return found[cluster_id]

    def workload(self, name: str) -> Workload:
        """Workload of a name.

        Raises
        ------
        SchedlabError
            When the experiment has none of that name.
        """
        found = {workload.name: workload for workload in self.workloads}
        if name not in found:
            raise SchedlabError(
                f"the experiment has no workload {name!r}", remedy=f"use one of {', '.join(found)}"
            )
        return found[name]

    def trials(self) -> list[TrialKey]:
        """Every trial, in the seeded random order in which they run, interleaving all cells."""
        keys = [
            TrialKey(cluster.id, workload.name, repetition)
            for cluster in self.clusters()
            for workload in self.workloads
            for repetition in range(1, self.repetitions.trials + 1)
        ]
        random.Random(self.seed).shuffle(keys)
        return keys

    def trace_seed(self, workload: str, repetition: int) -> int:
        """Seed of one trace. It is derived only from its own key, so other cells cannot change it.

        Every node count gets the same arrivals and runtimes (common random numbers), so that a
        difference between node counts is not one between traces.
        """
        key = f"{self.seed}/{workload}/{repetition}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")

    def trace(
        self,
        workload: str,
        nodes: int,
        repetition: int,
        root: Path | None = None,
        cpus: int | None = None,
    ) -> Trace:
        """Neutral trace of a workload on a machine.

        Parameters
        ----------
        workload : str
            Its name.
        nodes : int
            Compute nodes.
        repetition : int
            From 1.
        root : pathlib.Path, optional
            Where file names start.
        cpus : int, optional
            Processors of each node; by default those of the experiment's.
        """
        seed = self.trace_seed(workload, repetition)
        machine = Machine(nodes, cpus or self.node.vcpus)
        return self.workload(workload).generate(machine, seed, root)

    def machine_name(self, cluster: Cluster) -> str:
        """Short name of the machine that a cluster's traces are for: its nodes, as in 2.

        Where a variant's nodes have other processors than the experiment's: 2x4.
        """
        cpus = cluster.node.vcpus
        return f"{cluster.nodes}" + ("" if cpus == self.node.vcpus else f"x{cpus}")

    def machine_names(self) -> list[str]:
        """Names of the machines that traces are made for, each once."""
        return list(dict.fromkeys(self.machine_name(cluster) for cluster in self.clusters()))

    def machine(self, name: str) -> Machine:
        """Machine of a short name."""
        nodes, _, cpus = name.partition("x")
        return Machine(int(nodes), int(cpus or self.node.vcpus))

    def machine_spec(self, name: str) -> dict[str, Any]:
        """What shapes a trace beside its own workload and node count, as plain JSON."""
        return {"cpus_per_node": self.machine(name).cpus_per_node, "seed": self.seed}

    def workload_spec(self, name: str) -> dict[str, Any]:
        """Parameters of a workload, as sorted plain JSON; `workloads.workload_from` reads it."""
        return plain_sorted(self.workload(name).model_dump())

    def report_spec(self) -> dict[str, Any]:
        """What the report shows of the experiment: all that is kept beside it, as plain JSON."""
        return plain_sorted(self.model_dump(mode="json", exclude={"libvirt"}))

    def trial_spec(self, key: TrialKey) -> dict[str, Any]:
        """What shapes a trial beyond its cluster's snapshot and its trace, as sorted plain JSON.

        The trial limit and the place in the order are not in it: raising the one or adding cells
        must not make finished trials stale.
        """
        return plain_sorted(
            {
                "id": key.id,
                "cluster": key.cluster,
                "workload": key.workload,
                "repetition": key.repetition,
                "trace_seed": self.trace_seed(key.workload, key.repetition),
                "scrape_interval": self.cluster(key.cluster).metrics.scrape_interval,
            }
        )


def plain_sorted(data: dict[str, Any]) -> dict[str, Any]:
    """Same data with the keys of every mapping in order, for comparison by text."""
    result: dict[str, Any] = json.loads(json.dumps(data, sort_keys=True))
    return result
