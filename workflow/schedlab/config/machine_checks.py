"""Checks of every variant's machines and images against the host.

A fault is reported at the variant's key if the variant has that section, else at the experiment's.
Of virtual nodes only the carriers need the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from schedlab.config.cluster import carriers
from schedlab.config.host_facts import HostFacts
from schedlab.config.model import Experiment
from schedlab.config.sections import CloudImage, DebianImage, Guest, Placement
from schedlab.config.suites import suite_problem
from schedlab.config.variants import Variant
from schedlab.printing import brief
from schedlab.workloads import Problem


@dataclass(frozen=True)
class TooSmall(Problem):
    """Memory of a machine that is too small for what it has to hold.

    Parameters
    ----------
    least : int
        Memory that would do, MiB.
    """

    least: int


@dataclass(frozen=True)
class View:
    """One variant's machines, and the keys of the experiment that describe them.

    Attributes
    ----------
    place : int
        The variant's place in the list of variants.
    largest : int
        Number of machines beside the head in the variant's largest cluster.
    node : Guest
        Shape of each of them: a compute node, or a carrier of virtual nodes.
    section : str
        Key of that shape: `node`, or `virtual.carrier`.
    """

    place: int
    variant: Variant
    largest: int
    head: Guest
    node: Guest
    placement: Placement
    image: DebianImage | CloudImage
    section: str

    @property
    def told(self) -> str:
        """What the machines beside the head are, in words."""
        return "nodes" if self.section == "node" else "carriers"

    @property
    def fewer(self) -> str:
        """Key with the number of these machines."""
        return "nodes" if self.section == "node" else "virtual.carriers"

    def key(self, key: str) -> str:
        """Key of the experiment file that sets this key of the variant."""
        section = key.partition(".")[0]
        own = getattr(self.variant, section) is not None
        return f"schedulers[{self.place}].{key}" if own else key


def views(experiment: Experiment) -> Iterator[View]:
    """Yield every variant that the experiment file lists, with its real and its virtual nodes."""
    for place, variant in enumerate(experiment.schedulers):
        node = variant.node or experiment.node
        virtual = experiment.virtual_of(variant)
        real = [nodes for nodes in experiment.nodes if virtual is None or nodes in virtual.real]
        shapes = [(max(real), node, "node")] if real else []
        if virtual:
            most = carriers(virtual, max(experiment.nodes))
            shapes.append((most, virtual.carrier, "virtual.carrier"))
        for largest, guest, section in shapes:
            yield View(
                place,
                variant,
                largest,
                variant.head or experiment.head,
                guest,
                variant.placement or experiment.placement,
                variant.image or experiment.image,
                section,
            )


def processors(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    """Clusters with more virtual processors than their placement allows on this host."""
    for view in views(experiment):
        yield from _processors(view, host)


def _processors(view: View, host: HostFacts) -> Iterator[Problem]:
    largest = view.head.vcpus + view.largest * view.node.vcpus
    if largest <= host.cores:
        return
    shape = (
        f"{largest} vCPUs (head {view.head.vcpus} + {view.largest} {view.told} of "
        f"{view.node.vcpus}) on {host.cores} host cores"
    )
    smaller = f"lower {view.fewer}, {view.section}.vcpus or head.vcpus"
    if view.placement.pinning == "exclusive":
        yield Problem(
            view.key("placement.pinning"),
            "exclusive",
            f"needs a core for each of {shape}",
            f"{smaller}, or use spread with oversubscribe: true",
        )
    elif not view.placement.oversubscribe:
        yield Problem(
            view.key("placement.oversubscribe"),
            False,
            f"{shape} oversubscribe the host",
            f"{smaller}, or set oversubscribe: true and read timings with care",
        )


def memory(experiment: Experiment, host: HostFacts, found: Iterable[Problem]) -> Iterator[Problem]:
    """Clusters that need more memory than there is, or than the limit.

    Machines that are too small, as `found` has them, count as large as they have to be. Otherwise
    whoever makes them so would only then hear that this is too much.
    """
    limits = [("the host's", host.memory_mib), ("limits.memory", experiment.limits.memory_mib)]
    least: dict[str, int] = {}
    for problem in found:
        if isinstance(problem, TooSmall):
            least[problem.key] = max(least.get(problem.key, 0), problem.least)
    for view in views(experiment):
        pages = [("the reserved huge pages'", host.hugepages_mib)] * view.placement.hugepages
        yield from _memory(view, limits + pages, least)


def _memory(
    view: View, bounds: Sequence[tuple[str, int]], least: Mapping[str, int]
) -> Iterator[Problem]:
    head = max(view.head.memory_mib, least.get(view.key("head.memory"), 0))
    each = max(view.node.memory_mib, least.get(view.key(f"{view.section}.memory"), 0))
    needed = head + view.largest * each
    grown = needed > view.head.memory_mib + view.largest * view.node.memory_mib
    for name, bound in bounds:
        if needed > bound:
            smaller = f"{view.section}.memory, head.memory or {view.fewer}"
            yield Problem(
                view.key(f"{view.section}.memory"),
                view.node.memory,
                f"the largest cluster ({view.largest} {view.told} and the head) needs {needed} MiB"
                + " when its machines have the memory that they need" * grown
                + f", more than {name} {bound} MiB",
                f"lower {'nodes' if grown else smaller}"
                + {
                    "limits.memory": f", or raise limits.memory to {needed} MiB or more",
                    "the host's": "",
                }.get(name, ", or reserve more (sysctl vm.nr_hugepages), or set hugepages: false"),
            )


def numa(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    """NUMA nodes that the host does not have."""
    for view in views(experiment):
        wanted = view.placement.numa
        if wanted is not None and wanted not in host.numa_nodes:
            yield Problem(
                view.key("placement.numa"),
                wanted,
                "the host has no such NUMA node",
                f"use one of {', '.join(map(str, sorted(host.numa_nodes)))}, or null",
            )


LEAST = 128
"""Memory (MiB) below which no guest starts: the kernel and its first file system alone need more
than half of that."""


def memory_floors(
    experiment: Experiment, floors: Mapping[str, tuple[Mapping[str, int], tuple[int, float]]]
) -> Iterator[Problem]:
    """Machines that are too small for their scheduler.

    `floors` has for each scheduler the mapping of role (`head`, `compute`) to least memory (MiB),
    and the head's with virtual nodes: in any case, and for each of them.
    """
    for view in views(experiment):
        name = view.variant.adapter
        stated, (any_case, each) = floors.get(name, ({}, (0, 0.0)))
        least = {"head": LEAST, "compute": LEAST} | dict(stated)
        nodes = max(experiment.nodes) if view.section != "node" else 0
        heads = max(least["head"], math.ceil(any_case + nodes * each) if nodes else 0)
        virtual = f" with {nodes} virtual nodes" if each and nodes else ""
        guests = (
            ("head", "head", view.head, heads, virtual),
            ("compute", view.section, view.node, least["compute"], ""),
        )
        for role, section, guest, needed, why in guests:
            if guest.memory_mib < needed:
                key = view.key(f"{section}.memory")
                whom = name if role in stated or why else "a guest"
                yield TooSmall(
                    key,
                    guest.memory,
                    f"too small for {whom}, which needs {needed} MiB there{why}",
                    f"set {key} to {needed} MiB or more, or leave out {view.variant.name}"
                    + ", or lower nodes" * bool(why),
                    needed,
                )


def pci(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    """PCI functions that the host does not have, or that are too few."""
    for view in views(experiment):
        yield from _pci(view, host)


def _pci(view: View, host: HostFacts) -> Iterator[Problem]:
    addresses = view.placement.pci
    for index, address in enumerate(addresses):
        if host.pci is not None and address not in host.pci:
            yield Problem(
                view.key(f"placement.pci[{index}]"),
                address,
                "the host has no such PCI function",
                "use one that lspci -D lists",
            )
    one = "compute node" if view.section == "node" else "carrier"
    if 0 < len(addresses) < view.largest:
        yield Problem(
            view.key("placement.pci"),
            addresses,
            f"{len(addresses)} PCI functions for {view.largest} {one}s",
            f"give one for each {one} of the largest cluster, or none",
        )


def disk(experiment: Experiment) -> Iterator[Problem]:
    """Disks of images that are too small or too large."""
    limit = experiment.limits
    for view in views(experiment):
        if not 1024 <= view.image.disk_mib <= limit.disk_mib:
            yield Problem(
                view.key("image.disk"),
                view.image.disk,
                f"outside 1 GiB to limits.disk ({limit.disk})",
                "choose a size between them; disks are sparse: one of 3 GiB takes only the space"
                " of its content",
            )


def images(experiment: Experiment) -> Iterator[Problem]:
    """Suites whose packages guests cannot have, and image files that do not exist."""
    for view in views(experiment):
        yield from _image(view)


def _image(view: View) -> Iterator[Problem]:
    image = view.image
    if isinstance(image, DebianImage):
        if problem := suite_problem(view.key("image.suite"), image.suite):
            yield problem
    elif image.url.startswith("file://"):
        path = Path(unquote(urlsplit(image.url).path))
        if "\0" in str(path) or not path.is_file():
            yield Problem(
                view.key("image.url"),
                image.url,
                f"there is no file {brief(str(path))}",
                "put the image there, or correct the URL: file:///folder/image.qcow2",
            )
