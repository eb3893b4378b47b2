"""Checks of an experiment that need the host, the file system or several keys at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from schedlab.addresses import addresses_needed
from schedlab.config import machine_checks as machines
from schedlab.config.host_facts import HostFacts
from schedlab.config.levels import level_problems
from schedlab.config.model import Experiment
from schedlab.config.sections import WIDEST
from schedlab.config.variants import AGAIN, Variant
from schedlab.config.virtual_checks import HasVirtualNodes, virtual_problems
from schedlab.config.wording import boolean_meant
from schedlab.config.workload_checks import (
    Translating,
    parameter_problems,
    trace_problems,
)
from schedlab.printing import did_you_mean
from schedlab.workloads import Problem


class KnownScheduler(Translating, HasVirtualNodes, Protocol):
    """What the checks need to know about a scheduler that an experiment may name."""

    @property
    def networks(self) -> Mapping[str, str]:
        """Networks (CIDR -> what they are for) that the scheduler uses on its machines."""

    @property
    def memory_floors(self) -> Mapping[str, int]:
        """Role (`head`, `compute`) -> memory (MiB) below which the scheduler does not work."""

    @property
    def virtual_head_mib(self) -> tuple[int, float]:
        """Least memory of the head with virtual nodes, MiB: in any case, and for each of them."""

    def settings_problems(self, overrides: Mapping[str, str]) -> list[Problem]:
        """Return the faults in an experiment's settings for this scheduler."""

    def release_problems(self, overrides: Mapping[str, str], release: str) -> list[Problem]:
        """Return what a release cannot have of sound settings for this scheduler."""

    def trial_problems(
        self, overrides: Mapping[str, str], seconds: float, nodes: int
    ) -> list[Problem]:
        """Return what of sound settings a trial of so many seconds on so many nodes cannot have."""


Known = Mapping[str, KnownScheduler]
"""Schedulers that an experiment may name, by name."""


def check(
    experiment: Experiment,
    known: Known,
    host: HostFacts,
    root: Path,
    broken: Collection[str] = (),
) -> list[Problem]:
    """Return all faults of a well-formed experiment.

    Parameters
    ----------
    experiment : Experiment
        Experiment whose types and forms are already checked.
    known : mapping of str to KnownScheduler
        Schedulers that the experiment may name.
    host : HostFacts
        Machine that will run the guests.
    root : pathlib.Path
        Folder that relative file names are relative to.
    broken : collection of str
        Keys whose values were in error and were replaced by defaults. Checks that read such a key
        are left out, because their messages would be about a value that the user did not write.
    """
    shape = {"nodes", "node", "head", "virtual", "schedulers"}
    floors = {name: (one.memory_floors, one.virtual_head_mib) for name, one in known.items()}
    found: list[Problem] = []
    for reads, problems in (
        (set(), _duplicates(experiment)),
        (set(), _schedulers(experiment, known)),
        ({"schedulers", "nodes"}, _names(experiment, known)),
        ({"schedulers"}, _again(experiment)),
        ({"schedulers", "settings", "limits.trial", "nodes"}, _trials(experiment, known)),
        (
            shape | {"placement.pinning", "placement.oversubscribe"},
            machines.processors(experiment, host),
        ),
        ({"placement.numa", "schedulers"}, machines.numa(experiment, host)),
        (shape, machines.memory_floors(experiment, floors)),
        ({"nodes", "placement.pci", "schedulers"}, machines.pci(experiment, host)),
        (
            {"nodes", "node", "virtual", "schedulers"},
            virtual_problems(experiment, known),
        ),
        ({"image", "limits.disk", "schedulers"}, machines.disk(experiment)),
        ({"image", "schedulers"}, machines.images(experiment)),
        ({"libvirt.uri"}, _libvirt(experiment, host)),
        ({"nodes", "virtual", "network.cidr"}, _network(experiment, known)),
        ({"nodes", "node", "schedulers"}, parameter_problems(experiment, root)),
        ({"nodes", "node", "schedulers"}, level_problems(experiment)),
        (
            shape | {"seed", "repetitions", "limits.trial", "settings"},
            trace_problems(experiment, known, root),
        ),
        # The last one: it looks at what the others have found by then.
        (
            shape | {"placement.hugepages", "limits.memory"},
            machines.memory(experiment, host, found),
        ),
    ):
        if not any(_within(key, read) or _within(read, key) for key in broken for read in reads):
            # Variants that share a section share its faults.
            found += {(problem.key, problem.what): problem for problem in problems}.values()
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
        "nodes": experiment.nodes,
        "placement.pci": experiment.placement.pci,
    }
    for key, values in lists.items():
        for index, value in _repeats(values):
            yield Problem(f"{key}[{index}]", value, "written twice", "remove one")
    series = [variant.name for variant in experiment.schedulers]
    for index, name in _repeats(series):
        plain = not experiment.schedulers[index].scheduler
        yield Problem(
            f"schedulers[{index}]" + ("" if plain else ".name"),
            name,
            f"written twice, already the name of schedulers[{series.index(str(name))}]",
            "remove one" if plain else "give each variant a name of its own",
        )
    names = [workload.name for workload in experiment.workloads]
    for index, name in _repeats(names):
        yield Problem(
            f"workloads[{index}].name",
            name,
            f"duplicate name, already that of workloads[{names.index(str(name))}]",
            "give each workload a name of its own",
        )


def _schedulers(experiment: Experiment, known: Known) -> Iterator[Problem]:
    named = {f"settings.{name}": name for name in experiment.settings}
    for index, variant in enumerate(experiment.schedulers):
        key = f"schedulers[{index}]" + (".scheduler" if variant.scheduler else "")
        if not variant.scheduler and variant.name not in known and _own_keys(variant):
            yield Problem(
                f"{key}.scheduler",
                None,
                f"missing, and no scheduler has the variant's name, {variant.name}",
                f"add it: one of {', '.join(sorted(known))}",
            )
            continue
        named[key] = variant.adapter
    for key, name in named.items():
        if name not in known:
            yield Problem(
                key, name, "not a registered scheduler", did_you_mean(name, sorted(known))
            )
    checked: dict[tuple[str, frozenset[tuple[str, str]]], list[Problem]] = {}

    def faults(name: str, settings: Mapping[str, str]) -> list[Problem]:
        """Faults of settings, found once: an installation's folder may have many files."""
        key = (name, frozenset(settings.items()))
        if key not in checked:
            checked[key] = known[name].settings_problems(settings)
        return checked[key]

    for name, overrides in sorted(experiment.settings.items()):
        if name in known:
            for problem in faults(name, overrides):
                key = f"settings.{name}.{problem.key}"
                yield Problem(key, problem.value, problem.what, problem.remedy)
    for index, variant in enumerate(experiment.schedulers):
        if variant.adapter in known:
            together = experiment.settings_of(variant)
            shared = faults(variant.adapter, experiment.settings.get(variant.adapter, {}))
            # Those of what all share are reported once. A variant's settings may go before them;
            # and what is right without its settings may be wrong with them.
            own = [
                one
                for one in faults(variant.adapter, together)
                if one.key in variant.settings or not (one.unused or one in shared)
            ]
            release = (variant.image or experiment.image).release
            others = known[variant.adapter].release_problems(together, release)
            yield from _placed(experiment, index, [*own, *others])


def _trials(experiment: Experiment, known: Known) -> Iterator[Problem]:
    """Settings, or defaults, with which no trial that may last `limits.trial` can be measured."""
    for index, variant in enumerate(experiment.schedulers):
        if variant.adapter in known:
            together = experiment.settings_of(variant)
            limit, nodes = experiment.limits.trial, max(experiment.nodes)
            found = known[variant.adapter].trial_problems(together, limit, nodes)
            yield from _placed(experiment, index, found)


def _placed(experiment: Experiment, index: int, found: Iterable[Problem]) -> Iterator[Problem]:
    """Problems of a variant's settings, at the keys of the experiment.

    What is written for all variants, or the default, may not go with this one.
    """
    variant = experiment.schedulers[index]
    shared = f"settings.{variant.adapter}", experiment.settings.get(variant.adapter, {})
    for problem in found:
        for place, settings in ((f"schedulers[{index}].settings", variant.settings), shared):
            spelling = {key.lower(): key for key in settings}
            if problem.key.lower() in spelling:
                key = f"{place}.{spelling[problem.key.lower()]}"
                break
        else:
            key = f"{shared[0]}.{problem.key}"
        yield Problem(key, problem.value, problem.what, problem.remedy)


def _own_keys(variant: Variant) -> bool:
    """Whether a variant sets more than its name."""
    return variant.model_fields_set > {"name"}


_LIKE_A_CLUSTER = re.compile(r"(-n[0-9]+)(-c[0-9]+)?$")


def _names(experiment: Experiment, known: Known) -> Iterator[Problem]:
    """Names of variants that could be taken for something else."""
    for index, variant in enumerate(experiment.schedulers):
        key = f"schedulers[{index}].name"
        if variant.name != variant.adapter and variant.name in known:
            yield Problem(
                key,
                variant.name,
                f"the name of a scheduler, but the variant's scheduler is {variant.adapter}",
                "give the variant another name",
            )
        if found := _LIKE_A_CLUSTER.search(variant.name):
            yield Problem(
                key,
                variant.name,
                f"ends like the id of a cluster, in {found[0]}",
                f"use a name that does not, such as {variant.name[: found.start()]}-nodes",
            )


def _again(experiment: Experiment) -> Iterator[Problem]:
    """Check that the variant that runs a second time exists, and that its label is free."""
    names = [variant.name for variant in experiment.schedulers]
    again = experiment.again()
    if experiment.aa is not False and again is None:
        yield Problem(
            "aa",
            experiment.aa,
            "neither true nor false nor the name of a variant",
            boolean_meant(experiment.aa) or did_you_mean(str(experiment.aa), names),
        )
    elif again is not None and again.name + AGAIN in names:
        index = names.index(again.name + AGAIN)
        yield Problem(
            f"schedulers[{index}].name",
            names[index],
            f"the label under which aa runs {again.name} a second time",
            "give that variant another name, or leave out aa",
        )


def _libvirt(experiment: Experiment, host: HostFacts) -> Iterator[Problem]:
    if experiment.libvirt.uri == "qemu:///system" and host.libvirt is False:
        yield Problem(
            "libvirt.uri",
            experiment.libvirt.uri,
            "no libvirt of the system runs here: there is no socket in /run/libvirt",
            "start libvirtd, or use auto, or embedded",
        )


def _wide_enough(needed: int) -> str:
    """Remedy for a network that holds fewer than the needed addresses."""
    prefix = 32 - (needed - 1).bit_length()
    if prefix < WIDEST:
        return "use fewer nodes: no network that is allowed holds as many addresses"
    return f"use the prefix /{prefix}, or a shorter one down to /{WIDEST}"


def _network(experiment: Experiment, known: Known) -> Iterator[Problem]:
    largest = max(cluster.machines_beside_head for cluster in experiment.clusters())
    needed = addresses_needed(largest)
    network = ipaddress.IPv4Network(experiment.network.cidr)
    if network.num_addresses < needed:
        yield Problem(
            "network.cidr",
            experiment.network.cidr,
            f"holds {network.num_addresses} addresses, {needed} are needed",
            _wide_enough(needed),
        )
    # Check the networks of every scheduler, not only of those in the experiment. Otherwise adding a
    # scheduler to it could require another network for clusters that are finished already.
    taken = {cidr: what for one in known.values() for cidr, what in one.networks.items()}
    for cidr, what in taken.items():
        if network.overlaps(ipaddress.IPv4Network(cidr)):
            yield Problem(
                "network.cidr",
                experiment.network.cidr,
                f"overlaps {cidr}, which is for {what}",
                "use another one, such as 10.0.100.0/24",
            )
