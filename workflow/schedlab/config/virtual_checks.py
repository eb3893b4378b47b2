"""Checks of virtual nodes: who can have them, and whether the carriers can carry them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Protocol

from schedlab.config.cluster import carriers
from schedlab.config.machine_checks import TooSmall
from schedlab.config.model import Experiment
from schedlab.config.sections import Delays, Virtual
from schedlab.config.variants import VIRTUAL
from schedlab.workloads import Problem

CARRIER_MIB = 256
"""Memory of a carrier for its kernel and services, MiB; a guest of the image uses some 200."""
MOST_REAL = 128
"""Most real compute nodes of a cluster."""


class HasVirtualNodes(Protocol):
    """What the checks need to know of a scheduler's virtual nodes."""

    @property
    def virtual_node_mib(self) -> float | None:
        """Memory of a carrier for each virtual node, MiB; None where it has no virtual nodes."""

    @property
    def virtual_most_per_carrier(self) -> int | None:
        """Most virtual nodes of a carrier, whatever its memory; None: no other limit."""

    @property
    def virtual_shape_mib(self) -> tuple[int, int]:
        """Least memory of a virtual node, MiB: in any case, and for each processor."""

    @property
    def virtual_delays(self) -> object | None:
        """Not None where virtual nodes run no payload, so that delays can be given."""


def virtual_problems(
    experiment: Experiment,
    known: Mapping[str, HasVirtualNodes],
) -> Iterator[Problem]:
    """Yield the faults in an experiment's virtual nodes, and real nodes that are too many.

    Parameters
    ----------
    experiment : Experiment
        Experiment whose types and forms are already checked.
    known : mapping of str to HasVirtualNodes
        Registered schedulers.
    """
    delayed = {name for name, one in known.items() if one.virtual_delays}
    for place, variant in enumerate(experiment.schedulers):
        virtual = experiment.virtual_of(variant)
        if virtual is None:
            yield from _too_many_real(experiment)
            continue
        key = "virtual" if variant.virtual is None else f"schedulers[{place}].virtual"
        if variant.adapter in known:
            facts = known[variant.adapter]
            each = facts.virtual_node_mib
            if each is None:
                able = (name for name, one in known.items() if one.virtual_node_mib is not None)
                can = ", ".join(sorted(able))
                yield Problem(
                    key,
                    variant.name,
                    f"{variant.adapter} has no virtual nodes yet",
                    "write virtual: null in its mapping, which gives it real nodes, or virtual in"
                    f" the mappings of other variants only; {can} can have it",
                )
            else:
                yield from _capacity(key, virtual, max(experiment.nodes), each)
                most = facts.virtual_most_per_carrier
                yield from _too_many(key, virtual, experiment, variant.adapter, most)
                yield from _too_flat(experiment, place, facts.virtual_shape_mib)
                if virtual.delays != Delays() and variant.adapter not in delayed:
                    yield Problem(
                        f"{key}.delays",
                        virtual.delays.model_dump(exclude_defaults=True),
                        f"virtual nodes of {variant.adapter} run the payload, whose delays are"
                        " real",
                        f"remove it, or write it in the mappings of {', '.join(sorted(delayed))}",
                    )
        for index, nodes in enumerate(virtual.real):
            if nodes in virtual.real[:index]:
                yield Problem(f"{key}.real[{index}]", nodes, "written twice", "remove one")
            if nodes not in experiment.nodes:
                yield Problem(
                    f"{key}.real[{index}]",
                    nodes,
                    "not one of the node counts in nodes",
                    f"use some of {', '.join(map(str, experiment.nodes))}, or add it to nodes",
                )
            elif nodes > MOST_REAL:
                yield Problem(
                    f"{key}.real[{index}]",
                    nodes,
                    f"more than {MOST_REAL} real nodes, each a machine",
                    "remove it: virtual nodes have this size, and smaller ones can be compared",
                )
    yield from _taken(experiment)


def _taken(experiment: Experiment) -> Iterator[Problem]:
    """Variants with the name under which another one, also a second time, has virtual nodes."""
    names = [variant.name for variant in experiment.schedulers]
    again = experiment.again()
    for one in (*experiment.schedulers, *([again.again()] if again else ())):
        if experiment.virtual_of(one) and one.name + VIRTUAL in names:
            other = names.index(one.name + VIRTUAL)
            yield Problem(
                f"schedulers[{other}].name",
                names[other],
                f"the name under which {one.name} runs on virtual nodes",
                "give that variant another name",
            )


def _too_many_real(experiment: Experiment) -> Iterator[Problem]:
    for index, nodes in enumerate(experiment.nodes):
        if nodes > MOST_REAL:
            yield Problem(
                f"nodes[{index}]",
                nodes,
                f"more than {MOST_REAL} real nodes, each a machine",
                "lower it, or use virtual nodes: config/README.md, Virtual nodes, has an example",
            )


def _too_flat(experiment: Experiment, place: int, least: tuple[int, int]) -> Iterator[Problem]:
    """Virtual nodes whose shape has less memory than their scheduler's jobs ask for."""
    variant = experiment.schedulers[place]
    node = variant.node or experiment.node
    any_case, each = least
    needed = max(any_case, each * node.vcpus)
    if node.memory_mib < needed:
        key = "node.memory" if variant.node is None else f"schedulers[{place}].node.memory"
        yield Problem(
            key,
            node.memory,
            f"too small for virtual nodes of {variant.adapter}, which need {needed} MiB"
            + f": a job asks for {each} MiB on each processor" * bool(each),
            f"set it to {needed} MiB or more; it takes no memory of the host",
        )


def _too_many(
    key: str, virtual: Virtual, experiment: Experiment, scheduler: str, most: int | None
) -> Iterator[Problem]:
    """Carriers that would have more nodes than the scheduler's daemons on one machine can be."""
    nodes = max(experiment.nodes)
    load = math.ceil(nodes / carriers(virtual, nodes))
    if most is not None and load > most:
        yield Problem(
            f"{key}.carriers",
            virtual.carriers,
            f"{load} of {nodes} virtual nodes are on one carrier; {scheduler} can have at most"
            f" {most} there",
            f"set it to {math.ceil(nodes / most)} or more, or lower nodes",
        )


def _capacity(key: str, virtual: Virtual, nodes: int, each: float) -> Iterator[Problem]:
    """Carriers that would have too many nodes for their limit, or for their memory."""
    count = carriers(virtual, nodes)
    load = math.ceil(nodes / count)
    if virtual.per_carrier is not None and load > virtual.per_carrier:
        more = math.ceil(nodes / virtual.per_carrier)
        able = f"set {key}.carriers to {more} or more" if more <= MOST_REAL else "lower nodes"
        yield Problem(
            f"{key}.per_carrier",
            virtual.per_carrier,
            f"{nodes} nodes on {count} carriers are {load} nodes on one carrier",
            f"raise it, or {able}",
        )
    needed = math.ceil(CARRIER_MIB + load * each)
    if needed > virtual.carrier.memory_mib:
        yield TooSmall(
            f"{key}.carrier.memory",
            virtual.carrier.memory,
            f"{load} virtual nodes need {needed} MiB: {each:g} MiB each, and {CARRIER_MIB} MiB for"
            " the carrier itself",
            f"set it to {needed} MiB or more, or raise {key}.carriers, or lower nodes",
            needed,
        )
