"""The experiment: what a user may write in config/experiments.yaml, with defaults and meanings.

Types, ranges and forms are checked here and in `sections`; what needs the host, the file system or
two keys at once is checked in `checks`. Every section refuses unknown keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from schedlab import workloads as kinds
from schedlab.config.cluster import Cluster
from schedlab.config.sections import (
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
    Virtual,
)
from schedlab.config.trials import Cell, TrialKey, in_order, place
from schedlab.config.variants import (
    LIFTED,
    VIRTUAL,
    Again,
    Image,
    NamedVariant,
    NumberOrRepetitions,
    Repetitions,
    Rounds,
    Variant,
    overridden,
    with_inherited,
)
from schedlab.errors import SchedlabError
from schedlab.workloads import Machine, Trace
from schedlab.workloads.registry import Name, Workload

if TYPE_CHECKING:
    AnyWorkload = Workload
else:
    AnyWorkload = kinds.workload_union()

MOST_NODES = 10_000
"""Most compute nodes of a cluster; `schedlab.config.virtual_checks` allows fewer real ones."""


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
    bridge: Literal["auto", "none"] = Field(
        default="none", description="auto: finished trials run again beside cells added later."
    )
    nodes: list[Annotated[int, Field(ge=1, le=MOST_NODES)]] = Field(
        default=[1, 2], min_length=1, description="Compute node counts."
    )
    node: Guest = Guest()
    head: Head = Head()
    virtual: Virtual | None = Field(
        default=None, description="Virtual nodes, many on a machine; null: every node is a machine."
    )
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
    lifted: dict[str, dict[str, NativeSettings]] = Field(
        default={},
        description="Written by the run: variants that run again with a limit lifted, by what"
        " lifts it, and its settings.",
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
        """Variants in the order written, then that which runs a second time, then lifted ones."""
        again, there = self.again(), self.present()
        lifted = [
            one.renamed(f"-{lift}{LIFTED}", settings)
            for one in there
            for lift, settings in self.lifted.get(one.name, {}).items()
        ]
        return [*there, *([again.again()] if again else []), *lifted]

    def lifted_from(self, cluster_id: str) -> str | None:
        """Id of the cluster of which another one lifts a limit; None for any other cluster."""
        return self._base_of(self.cluster(cluster_id)) if self.lifted else None

    def _base_of(self, cluster: Cluster) -> str | None:
        kind = VIRTUAL * bool(cluster.virtual)
        bases = {
            f"{name}-{lift}{LIFTED}": name for name, lifts in self.lifted.items() for lift in lifts
        }
        base = bases.get(cluster.variant.removesuffix(kind))
        return None if base is None else replace(cluster, variant=base + kind).id

    def lifted_clusters(self) -> dict[str, list[TrialKey]]:
        """Clusters with a lifted limit, with the trials on which the first decisions are due."""
        return {
            one.id: [TrialKey(one.id, each.name, 1) for each in self.workloads if each.confirms]
            for one in self.clusters()
            if self._base_of(one)
        }

    def clusters(self) -> list[Cluster]:
        """Clusters by variant and node count, in the order of the file; then equal clusters."""
        return [
            self._cluster(variant, nodes, number, virtual)
            for number in range(1, self.repetitions.clusters + 1)
            for variant in self.variants()
            for virtual, nodes in self._sizes(variant)
        ]

    def virtual_of(self, variant: Variant) -> Virtual | None:
        """Virtual nodes of a variant; None where its nodes are real, as a written null says."""
        return variant.virtual if "virtual" in variant.model_fields_set else self.virtual

    def _sizes(self, variant: Variant) -> Iterator[tuple[Virtual | None, int]]:
        """Node counts of a variant: those on real nodes, then those on virtual ones."""
        virtual = self.virtual_of(variant)
        yield from ((None, n) for n in self.nodes if virtual is None or n in virtual.real)
        yield from ((virtual, n) for n in self.nodes if virtual)

    def _cluster(
        self, variant: Variant, nodes: int, number: int, virtual: Virtual | None
    ) -> Cluster:
        return Cluster(
            variant=variant.name + VIRTUAL * bool(virtual),
            scheduler=variant.adapter,
            nodes=nodes,
            number=number,
            head=variant.head or self.head,
            node=variant.node or self.node,
            placement=variant.placement or self.placement,
            image=variant.image or self.image,
            metrics=variant.metrics or self.metrics,
            settings=self.settings_of(variant),
            virtual=virtual,
        )

    def settings_of(self, variant: Variant) -> dict[str, str]:
        """Native settings of a variant, over those of all variants of its scheduler."""
        return overridden(self.settings.get(variant.adapter, {}), variant.settings)

    def cluster(self, cluster_id: str) -> Cluster:
        """Return the cluster with an id.

        Raises
        ------
        SchedlabError
            When the experiment has no cluster with that id.
        """
        found = {cluster.id: cluster for cluster in self.clusters()}
        if cluster_id not in found:
            raise SchedlabError(
                f"the experiment has no cluster {cluster_id!r}",
                remedy=f"use one of {', '.join(found)}",
            )
        return found[cluster_id]

    def workload(self, name: str) -> Workload:
        """Return the workload with a name.

        Raises
        ------
        SchedlabError
            When the experiment has no workload with that name.
        """
        found = {workload.name: workload for workload in self.workloads}
        if name not in found:
            raise SchedlabError(
                f"the experiment has no workload {name!r}", remedy=f"use one of {', '.join(found)}"
            )
        return found[name]

    @property
    def rounds(self) -> Rounds | None:
        """Rule that ends a cell early; None where every cell has the same number of trials."""
        return self.repetitions if isinstance(self.repetitions, Rounds) else None

    def searches(self) -> int:
        """Trials of each cell at least: searches of a workload that has several steps."""
        return self.rounds.min if self.rounds else self.repetitions.trials

    def most(self, workload: Workload) -> int:
        """Most trials of each cell of a workload."""
        searching = workload.steps > 1
        return self.searches() * workload.steps if searching else self.repetitions.trials

    def decided(self, workload: str, repetition: int) -> bool:
        """Whether a decision is due before a trial of this repetition."""
        searching = self.workload(workload).steps > 1
        return searching or (self.rounds is not None and repetition > self.rounds.min)

    def decided_by(self, cluster: str, workload: str, repetition: int) -> list[TrialKey]:
        """Trials that a decision reads: those of its cell before it, and of that which it lifts.

        A step of a search depends on the steps of the same search alone. Of a cell with a lifted
        limit the first trial depends on all those of the other cell; whether it ran tells the first
        steps of the further searches whether they do.
        """
        steps = self.workload(workload).steps
        first = (repetition - 1) // steps * steps + 1 if steps > 1 else 1
        before = [TrialKey(cluster, workload, number) for number in range(first, repetition)]
        if before or steps == 1 or not (base := self.lifted_from(cluster)):
            return before
        if repetition > 1:
            return [TrialKey(cluster, workload, 1)]
        numbers = range(1, self.most(self.workload(workload)) + 1)
        return [TrialKey(base, workload, number) for number in numbers]

    def trials(self) -> list[TrialKey]:
        """Every trial, in the seeded random order in which they run (`trials.in_order`)."""
        first = {
            workload.name: 1 if workload.steps > 1 else self.searches()
            for workload in self.workloads
        }
        return in_order(
            self.seed,
            [
                Cell(cluster.id, workload.name, first[workload.name], self.most(workload))
                for cluster in self.clusters()
                for workload in self.workloads
                # A cluster with a lifted limit runs only what confirms them.
                if workload.confirms or not self._base_of(cluster)
            ],
        )

    def trace_seed(self, workload: str, repetition: int) -> int:
        """Seed of one trace, derived from its own key only, so that other cells cannot change it.

        Every node count gets the same arrivals and runtimes (common random numbers), so that
        differences between traces do not appear as differences between node counts.
        """
        # All steps of a search have the same jobs, and so have all levels of a background.
        one = self.workload(workload)
        search = (repetition - 1) // one.steps + 1
        key = f"{self.seed}/{one.base}/{search}"
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
            Name of the workload.
        nodes : int
            Compute nodes.
        repetition : int
            From 1.
        root : pathlib.Path, optional
            Folder that relative file names are relative to; default: the working folder.
        cpus : int, optional
            Processors of each node; default: `node.vcpus` of the experiment.
        """
        seed = self.trace_seed(workload, repetition)
        machine = Machine(nodes, cpus or self.node.vcpus)
        return self.workload(workload).generate(machine, seed, root)

    def machine_name(self, cluster: Cluster) -> str:
        """Short name of the machine that a cluster's traces are for: its number of nodes.

        For example 2; or 2x4, if each of the variant's nodes has 4 processors and the experiment's
        `node.vcpus` is another number.
        """
        cpus = cluster.node.vcpus
        return f"{cluster.nodes}" + ("" if cpus == self.node.vcpus else f"x{cpus}")

    def machine_names(self) -> list[str]:
        """Names of the machines that traces are made for, without repetitions."""
        return list(dict.fromkeys(self.machine_name(cluster) for cluster in self.clusters()))

    def machine(self, name: str) -> Machine:
        """Return the machine with a short name from `machine_name`."""
        nodes, _, cpus = name.partition("x")
        return Machine(int(nodes), int(cpus or self.node.vcpus))

    def machine_spec(self, name: str) -> dict[str, Any]:
        """What a trace depends on besides its workload and node count, as plain JSON."""
        return {"cpus_per_node": self.machine(name).cpus_per_node, "seed": self.seed}

    def workload_spec(self, name: str) -> dict[str, Any]:
        """Parameters of a workload's traces, as sorted plain JSON for `workloads.workload_from`."""
        # Confirming adds searches on further clusters, and changes no trace and no decision.
        return plain_sorted(self.workload(name).model_dump(exclude={"confirm"}))

    def decision_spec(self, workload: str) -> dict[str, Any]:
        """What shapes the decisions on a workload's cells, as plain JSON; not the most trials."""
        if self.workload(workload).steps > 1:
            return self.workload_spec(workload)
        rule = self.rounds.model_dump(exclude={"max"}) if self.rounds else {}
        return {"quantity": self.workload(workload).quantity, **rule}

    def report_spec(self) -> dict[str, Any]:
        """The experiment as the report shows it, as plain JSON."""
        return plain_sorted(self.model_dump(mode="json", exclude={"libvirt"}))

    def trial_facts(self, key: TrialKey) -> dict[str, Any]:
        """What a trial's record says of which trial it is."""
        cluster = self.cluster(key.cluster)
        return {
            "cluster": cluster.id,
            "scheduler": cluster.scheduler,
            "variant": cluster.variant,
            "number": cluster.number,
            "workload": key.workload,
            "repetition": key.repetition,
            "nodes": cluster.nodes,
            "cpus_per_node": cluster.node.vcpus,
            "order": place(self.seed, self.trials(), key),
            **({"carriers": cluster.machines_beside_head} if cluster.virtual else {}),
        }

    def trial_spec(self, key: TrialKey) -> dict[str, Any]:
        """What a trial depends on besides its snapshot and its trace, as sorted plain JSON.

        It does not contain the trial's time limit and place in the order, so that raising the limit
        or adding cells does not make finished trials stale.
        """
        return plain_sorted(
            {
                "id": key.id,
                "cluster": key.cluster,
                "workload": key.workload,
                "repetition": key.repetition,
                "trace_seed": self.trace_seed(key.workload, key.repetition),
                "metrics": self.cluster(key.cluster).metrics.model_dump(),
            }
        )


def plain_sorted(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with the keys of every mapping sorted, for comparison as text."""
    result: dict[str, Any] = json.loads(json.dumps(data, sort_keys=True))
    return result
