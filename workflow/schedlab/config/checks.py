"""Checks of an experiment that need the host, the file system or several keys at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from schedlab.addresses import addresses_needed
from schedlab.config.host_facts import HostFacts
from schedlab.config.model import Experiment
from schedlab.config.sections import DebianImage
from schedlab.config.workload_checks import duration_problems, parameter_problems
from schedlab.printing import brief
from schedlab.workloads import Problem


class KnownScheduler(Protocol):
    """What the checks ask of a scheduler that an experiment may name."""

    @property
    def networks(self) -> Mapping[str, str]:
        """Networks (CIDR -> what they are for) that it uses on its machines."""

    @property
    def memory_floors(self) -> Mapping[str, int]:
        """Role (`head`, `compute`) -> memory (MiB) below which it does not work."""

    def settings_problems(self, overrides: Mapping[str, str]) -> list[Problem]:
        """What is wrong with an experiment's settings for it."""


Known = Mapping[str, KnownScheduler]
"""Schedulers that an experiment may name, by name."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Remedy for an unknown word: the closest known one, or all of them."""
    close = get_close_matches(word.lower(), {name.lower(): name for name in known}, n=1, cutoff=0.6)
    spelling = {name.lower(): name for name in known}
    if close:
        return f"did you mean {spelling[close[0]]}?"
    return f"use one of {', '.join(known)}"


def check(
    experiment: Experiment,
    known: Known,
    host: HostFacts,
    root: Path,
    broken: Collection[str] = (),
) -> list[Problem]:
    """Everything wrong with a well-formed experiment.

    Parameters
    ----------
    experiment : Experiment
        Types and forms are sound.
    known : mapping of str to KnownScheduler
        Schedulers that it may name.
    host : HostFacts
        Machine that will run the guests.
    root : pathlib.Path
        Folder that relative file names are relative to.
    broken : collection of str
        Keys that hold defaults because what the user wrote there is in error; a check that
        reads one would speak about something nobody wrote, and is left out.
    """
    shape = {"nodes", "node", "head"}
    found: list[Problem] = []
    for reads, problems in (
        (set(), _duplicates(experiment)),
        (set(), _schedulers(experiment, known)),
        (shape | {"placement.pinning", "placement.oversubscribe"}, _processors(experiment, host)),
        (shape | {"placement.hugepages", "limits.memory"}, _memory(experiment, host)),
        ({"placement.numa"}, _numa(experiment, host)),
        ({"node", "head", "schedulers"}, _memory_floors(experiment, known)),
        ({"nodes", "placement.pci"}, _pci(experiment, host)),
        ({"image", "limits.disk"}, _disk(experiment)),
        ({"image"}, _image(experiment, host)),
        ({"libvirt.uri"}, _libvirt(experiment, host)),
        ({"nodes", "network.cidr"}, _network(experiment, known)),
        ({"nodes", "node"}, parameter_problems(experiment, root)),
        (shape | {"seed", "repetitions", "limits.trial"}, duration_problems(experiment, root)),
    ):
        if not any(_within(key, read) or _within(read, key) for key in broken for read in reads):
            found += problems
    return found


def _within(key: str, section: str) -> bool:
    return key == section or key.startswith((f"{section}.", f"{section}["))


def _repeats(values: Sequence[object]) -> Iterator[tuple[int, object]]:
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index, value
        seen.add(value)


def _duplicates(experiment: Experiment) -> Iterator[Problem]:
    lists: dict[str, Sequence[object]] = {
        "schedulers": experiment.schedulers,
        "nodes": experiment.nodes,
        "placement.pci": experiment.placement.pci,
    }
    for key, values in lists.items():
        for index, value in _repeats(values):
            yield Problem(f"{key}[{index}]", value, "written twice", "remove one")
    names = [workload.name for workload in experiment.workloads]
    for index, name in _repeats(names):
        yield Problem(
            f"workloads[{index}].name",
            name,
            f"duplicate name, already that of workloads[{names.index(str(name))}]",
            "give each workload a name of its own",
        )


def _schedulers(experiment: Experiment, known: Known) -> Iterator[Problem]:
    named = {f"schedulers[{index}]": name for index, name in enumerate(experiment.schedulers)}
    named |= {f"settings.{name}": name for name in experiment.settings}
    for key, name in named.items():
        if name not in known:
            yield Problem(
                key, name, "not a registered scheduler", did_you_mean(name, sorted(known))
            )
    for name, overrides in sorted(experiment.settings.items()):
        if name in known:
            for problem in known[name].settings_problems(overrides):
                key = f"settings.{name}.{problem.key}"
                yield Problem(key, problem.value, problem.what, problem.remedy)


def _processors(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    largest = max(
        experiment.head.vcpus + nodes * experiment.node.vcpus for nodes in experiment.nodes
    )
    if largest <= host.cores:
        return
    shape = (
        f"{largest} vCPUs (head {experiment.head.vcpus} + {max(experiment.nodes)} nodes of "
        f"{experiment.node.vcpus}) on {host.cores} host cores"
    )
    smaller = "lower nodes, node.vcpus or head.vcpus"
    if experiment.placement.pinning == "exclusive":
        yield Problem(
            "placement.pinning",
            "exclusive",
            f"needs a core for each of {shape}",
            f"{smaller}, or use spread with oversubscribe: true",
        )
    elif not experiment.placement.oversubscribe:
        yield Problem(
            "placement.oversubscribe",
            False,
            f"{shape} oversubscribe the host",
            f"{smaller}, or set oversubscribe: true and read timings with care",
        )


def _memory(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    nodes = max(experiment.nodes)
    needed = experiment.head.memory_mib + nodes * experiment.node.memory_mib
    bounds = [("the host's", host.memory_mib), ("limits.memory", experiment.limits.memory_mib)]
    if experiment.placement.hugepages:
        bounds.append(("the reserved huge pages'", host.hugepages_mib))
    for name, bound in bounds:
        if needed > bound:
            yield Problem(
                "node.memory",
                experiment.node.memory,
                f"the largest cluster ({nodes} nodes and the head) needs {needed} MiB, more than "
                f"{name} {bound} MiB",
                "lower node.memory, head.memory or nodes"
                + {"limits.memory": ", or raise limits.memory", "the host's": ""}.get(
                    name, ", or reserve more (sysctl vm.nr_hugepages), or set hugepages: false"
                ),
            )


def _numa(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    wanted = experiment.placement.numa
    if wanted is not None and wanted not in host.numa_nodes:
        yield Problem(
            "placement.numa",
            wanted,
            "the host has no such NUMA node",
            f"use one of {', '.join(map(str, sorted(host.numa_nodes)))}, or null",
        )


def _memory_floors(experiment: Experiment, known: Known) -> Iterator[Problem]:
    guests = {"head": ("head", experiment.head), "compute": ("node", experiment.node)}
    for name in experiment.schedulers:
        floors = known[name].memory_floors if name in known else {}
        for role, (key, guest) in guests.items():
            if guest.memory_mib < floors.get(role, 0):
                yield Problem(
                    f"{key}.memory",
                    guest.memory,
                    f"too small for {name}, which needs {floors[role]} MiB there",
                    f"set {key}.memory to {floors[role]} MiB or more, or leave out {name}",
                )


def _pci(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    addresses = experiment.placement.pci
    for index, address in enumerate(addresses):
        if host.pci is not None and address not in host.pci:
            yield Problem(
                f"placement.pci[{index}]",
                address,
                "the host has no such PCI function",
                "use one that lspci -D lists",
            )
    if 0 < len(addresses) < max(experiment.nodes):
        yield Problem(
            "placement.pci",
            addresses,
            f"{len(addresses)} PCI functions for {max(experiment.nodes)} compute nodes",
            "give one for each compute node of the largest cluster, or none",
        )


def _disk(experiment: Experiment) -> Iterator[Problem]:
    image, limit = experiment.image, experiment.limits
    if not 1024 <= image.disk_mib <= limit.disk_mib:
        yield Problem(
            "image.disk",
            image.disk,
            f"outside 1 GiB to limits.disk ({limit.disk})",
            "choose a size between them; disks are sparse, so 3 GiB costs what it holds",
        )


def _image(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    image = experiment.image
    if isinstance(image, DebianImage):
        if host.suites is not None and image.suite not in host.suites:
            yield Problem(
                "image.suite",
                image.suite,
                "no Debian release that this machine knows (/usr/share/distro-info)",
                did_you_mean(image.suite, sorted(host.suites)),
            )
    elif image.url.startswith("file://"):
        path = Path(unquote(urlsplit(image.url).path))
        if "\0" in str(path) or not path.is_file():
            yield Problem(
                "image.url",
                image.url,
                f"there is no file {brief(str(path))}",
                "put the image there, or correct the URL: file:///folder/image.qcow2",
            )


def _libvirt(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    if experiment.libvirt.uri == "qemu:///system" and host.libvirt is False:
        yield Problem(
            "libvirt.uri",
            experiment.libvirt.uri,
            "no libvirt of the system runs here: it has no socket in /run/libvirt",
            "start libvirtd, or use auto, or embedded",
        )


def _network(experiment: Experiment, known: Known) -> Iterator[Problem]:
    needed = addresses_needed(max(experiment.nodes))
    network = ipaddress.IPv4Network(experiment.network.cidr)
    if network.num_addresses < needed:
        yield Problem(
            "network.cidr",
            experiment.network.cidr,
            f"holds {network.num_addresses} addresses, {needed} are needed",
            "use a shorter prefix, such as /24",
        )
    # Those of every scheduler: adding one must not force another network on finished clusters.
    taken = {cidr: what for one in known.values() for cidr, what in one.networks.items()}
    for cidr, what in taken.items():
        if network.overlaps(ipaddress.IPv4Network(cidr)):
            yield Problem(
                "network.cidr",
                experiment.network.cidr,
                f"overlaps {cidr}, which is for {what}",
                "use another one, such as 10.0.100.0/24",
            )
