"""The experiment: what a user may write in config/experiments.yaml, with defaults and meanings.

Types, ranges and forms are checked here and in `sections`; what needs the host, the file system or
two keys at once is checked in `checks`. Every section refuses unknown keys.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

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
from schedlab.errors import SchedlabError
from schedlab.workloads import Machine, Trace
from schedlab.workloads.registry import Name, Workload

if TYPE_CHECKING:
    AnyWorkload = Workload
else:
    AnyWorkload = kinds.workload_union()


@dataclass(frozen=True)
class Cluster:
    """One virtual cluster of the experiment: a head and equal compute nodes."""

    id: str
    scheduler: str
    nodes: int
    head: Guest
    node: Guest
    placement: Placement

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
    """The whole experiment: clusters = schedulers x nodes, trials = clusters x workloads x R."""

    name: Name = Field(default="default", description="Name of the experiment.")
    seed: int = Field(
        default=20260901, ge=0, le=2**63 - 1, description="Source of every random choice."
    )
    repetitions: int = Field(default=3, ge=1, le=1000, description="Trials of each cell.")
    schedulers: list[str] = Field(
        default=["slurm"], min_length=1, description="Registered schedulers."
    )
    nodes: list[Annotated[int, Field(ge=1, le=128)]] = Field(
        default=[1, 2], min_length=1, description="Compute node counts."
    )
    node: Guest = Guest()
    head: Head = Head()
    placement: Placement = Placement()
    image: Annotated[DebianImage | CloudImage, Field(discriminator="kind")] = DebianImage()
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
    workloads: list[AnyWorkload] = Field(min_length=1, description="Workloads, by kind.")

    def clusters(self) -> list[Cluster]:
        """Clusters, schedulers and node counts in the order written."""
        return [
            Cluster(f"{scheduler}-n{nodes}", scheduler, nodes, self.head, self.node, self.placement)
            for scheduler in self.schedulers
            for nodes in self.nodes
        ]

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
            for repetition in range(1, self.repetitions + 1)
        ]
        random.Random(self.seed).shuffle(keys)
        return keys

    def trace_seed(self, workload: str, repetition: int) -> int:
        """Seed of one trace, hung on nothing but its own key: other cells cannot shift it.

        Every node count gets the same arrivals and runtimes (common random numbers), so that a
        difference between node counts is not one between traces.
        """
        key = f"{self.seed}/{workload}/{repetition}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")

    def trace(self, workload: str, nodes: int, repetition: int, root: Path | None = None) -> Trace:
        """Neutral trace of a workload on a node count; `root` is where file names start."""
        seed = self.trace_seed(workload, repetition)
        return self.workload(workload).generate(Machine(nodes, self.node.vcpus), seed, root)

    def machines_spec(self, cluster_id: str) -> dict[str, dict[str, int]]:
        """Names and sizes (processors, MiB) of a cluster's machines, as plain JSON."""
        return {
            name: {"vcpus": guest.vcpus, "memory_mib": guest.memory_mib}
            for name, guest in self.cluster(cluster_id).machines().items()
        }

    def machine_spec(self) -> dict[str, Any]:
        """What shapes every trace beside its own workload and node count, as plain JSON."""
        return {"cpus_per_node": self.node.vcpus, "seed": self.seed}

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
                "scrape_interval": self.metrics.scrape_interval,
            }
        )


def plain_sorted(data: dict[str, Any]) -> dict[str, Any]:
    """Same data with the keys of every mapping in order, for comparison by text."""
    result: dict[str, Any] = json.loads(json.dumps(data, sort_keys=True))
    return result
