"""Everything that needs the experiment and the schedulers: images, settings, parts of clusters.

The package `config` does not know the schedulers, and `schedulers` does not know the experiment.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from schedlab.config import Cluster, Experiment, HostFacts
from schedlab.config import load as _load
from schedlab.config.cluster import copy_suffix
from schedlab.config.model import plain_sorted
from schedlab.config.sections import FAMILIES, DebianImage, Delays, Guest, Placement
from schedlab.config.variants import LIFTED
from schedlab.errors import SchedlabError
from schedlab.privacy.identity import identity
from schedlab.schedulers import Scheduler, get_scheduler, scheduler_names
from schedlab.schedulers.installation import SETTINGS, shaping
from schedlab.schedulers.limits import Lift
from schedlab.search_checks import require_cycles
from schedlab.toolchain.installation import unreachable


def load_experiment(
    path: Path, host: HostFacts | None = None, root: Path | None = None
) -> Experiment:
    """Read and check an experiment, including the settings of its schedulers.

    Parameters
    ----------
    path : pathlib.Path
        YAML file.
    host : HostFacts, optional
        Machine that will run the guests; default: this one.
    root : pathlib.Path, optional
        Folder that relative file names in it are relative to; default: the working folder.

    Raises
    ------
    SchedlabError
        With every error found, one a line: `file: key = value: what is wrong. Remedy: ...`.
    """
    known = {name: get_scheduler(name) for name in scheduler_names()}
    experiment = _load.load_experiment(path, known, host, root)
    left_out = _left_out(experiment)
    if len(left_out) == len(experiment.schedulers):
        parts = {name: why.partition("; remedy: ") for name, why in left_out.items()}
        told = "; ".join(f"{name}: {what}" for name, (what, _, _) in parts.items())
        remedies = dict.fromkeys(remedy for _, _, remedy in parts.values() if remedy)
        raise SchedlabError(
            f"{path}: no variant can run: {told}", remedy="; ".join(remedies) or None
        )
    found = experiment.model_copy(update={"left_out": left_out})
    found = found.model_copy(update={"lifted": _lifted(found, path)})
    _load.require_extent(found, path)
    require_cycles(found, path, root or Path())
    return found


def notices(experiment: Experiment, bridges: int = 0) -> list[str]:
    """What of an experiment does not run as it is written, and how many trials are bridges.

    Returns
    -------
    list of str
        One line each.
    """
    found = []
    if bridges:
        found.append(
            f"{bridges} finished trials run again beside cells that were added (bridge: auto)"
        )
    found += [f"{name} is left out: {why}" for name, why in experiment.left_out.items()]
    first, again = experiment.schedulers[0].name, experiment.again()
    if again is None and experiment.aa is not False:
        found.append(f"no variant runs a second time: aa names {experiment.aa}, which is left out")
    elif again is not None and experiment.aa is True and again.name != first:
        found.append(
            f"{again.name} runs a second time (aa: true): {first}, the first variant, is left out"
        )
    return found


def _lifted(experiment: Experiment, path: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Variants that run again with a limit lifted: what lifts it -> the settings that do it."""
    confirming = [one.base for one in experiment.workloads if one.confirms]
    if not confirming:
        return {}
    names = [variant.name for variant in experiment.schedulers]
    found = {}
    for variant in experiment.present():
        written = {**experiment.settings.get(variant.adapter, {}), **variant.settings}
        lifts = _lifts(variant.adapter, written)
        for lift in lifts:
            name = f"{variant.name}-{lift.name}{LIFTED}"
            if name in names:
                raise SchedlabError(
                    f"{path}: schedulers[{names.index(name)}].name = '{name}': the name under"
                    f" which {variant.name} runs with a limit lifted (confirm: true)",
                    remedy="give that variant another name, or leave out confirm",
                )
        if lifts:
            found[variant.name] = {lift.name: dict(lift.settings) for lift in lifts}
    if not found:
        told = ", ".join(variant.name for variant in experiment.present())
        raise SchedlabError(
            f"{path}: confirm = true in workload {confirming[0]}: no variant has a limit that a"
            f" setting lifts ({told}), so there is nothing to confirm",
            remedy="leave out confirm, or add a variant of "
            + ", ".join(name for name in scheduler_names() if _lifts(name, {})),
        )
    return found


def _lifts(adapter: str, written: dict[str, str]) -> list[Lift]:
    """Ways to lift a limit of a scheduler; without those that change no limit."""
    before = get_scheduler(adapter, written)
    found = []
    for lift in before.lifts():
        after = get_scheduler(adapter, {**before.in_force, **lift.settings})
        if after.limits(after.in_force, {}) != before.limits(before.in_force, {}):
            found.append(lift)
    return found


def _left_out(experiment: Experiment) -> dict[str, str]:
    """Variants whose scheduler this machine cannot have, each with why, and the remedy."""
    found = {}
    for variant in experiment.schedulers:
        written = {**experiment.settings.get(variant.adapter, {}), **variant.settings}
        scheduler = get_scheduler(variant.adapter, written)
        if why := scheduler.unavailable() or _out_of_reach(scheduler):
            found[variant.name] = why
    return found


def _out_of_reach(scheduler: Scheduler) -> str | None:
    if scheduler.installation is None:
        return None
    return unreachable(scheduler.name, scheduler.installation, scheduler.in_force)


def scheduler_of(cluster: Cluster) -> Scheduler:
    """Adapter of a cluster's scheduler."""
    return get_scheduler(cluster.scheduler)


def image_of(experiment: Experiment, cluster: Cluster) -> str:
    """Id of the image that a cluster's machines start from.

    That of the experiment's own section of images has the name of the kind alone (``alpha``). Where
    a variant has another, its release follows (``alpha-bookworm``), or else a digest; so does a
    digest where the variant's settings give another installation than the experiment's.
    """
    kind, image = scheduler_of(cluster).image, cluster.image
    given, usual = _given(cluster), _usually_given(experiment, cluster)
    if given != usual:
        return f"{kind}-{_short({**image.model_dump(), **given})}"
    if image == experiment.image:
        return kind
    rest, general = (one.model_dump(exclude={"suite"}) for one in (image, experiment.image))
    if isinstance(image, DebianImage) and rest == general:
        return f"{kind}-{image.suite}"
    return f"{kind}-{_short(image.model_dump())}"


def _given(cluster: Cluster) -> dict[str, str]:
    """Settings that give an installation for a cluster's image; none where it has none."""
    return _named(shaping(settings(cluster))) if scheduler_of(cluster).installation else {}


def _usually_given(experiment: Experiment, cluster: Cluster) -> dict[str, str]:
    """The same of the experiment's own settings for that scheduler."""
    scheduler = scheduler_of(cluster)
    general = experiment.settings.get(cluster.scheduler, {})
    return _named(shaping(scheduler.merged_settings(general))) if scheduler.installation else {}


def _named(given: dict[str, str]) -> dict[str, str]:
    """As the copy beside the results has it, from which an image must get the same id."""
    return {key: identity().text(text) for key, text in given.items()}


def installation_settings(experiment: Experiment, image: str) -> dict[str, str]:
    """Settings in force of a cluster that starts from an image: they give its installation."""
    return settings(_images(experiment)[image])


def machines_of(experiment: Experiment, cluster: Cluster) -> str:
    """Id of the provisioned machines on which a cluster is configured.

    It contains everything that the machines depend on, so that clusters with equal machines share
    them: the image, the number of compute nodes or carriers, the number of the equal cluster, and a
    digest if they are carriers, or if a variant has other sizes or another placement than the
    experiment.
    """
    shape = _machines_shape(cluster)
    own = shape == _shape(experiment.head, experiment.node, experiment.placement)
    count = f"n{cluster.machines_beside_head}"
    parts = [image_of(experiment, cluster), count, *([] if own else [_short(shape)])]
    return "-".join(parts) + copy_suffix(cluster.number)


def machines(experiment: Experiment) -> dict[str, Cluster]:
    """Provisioned machines by id, each with the first cluster that is configured on them."""
    found: dict[str, Cluster] = {}
    for cluster in experiment.clusters():
        found.setdefault(machines_of(experiment, cluster), cluster)
    return found


def images(experiment: Experiment) -> list[str]:
    """Ids of the images that the clusters start from, each once, in order of variants."""
    return list(_images(experiment))


def _images(experiment: Experiment) -> dict[str, Cluster]:
    found: dict[str, Cluster] = {}
    for cluster in experiment.clusters():
        found.setdefault(image_of(experiment, cluster), cluster)
    return found


def image_spec(experiment: Experiment, image: str) -> dict[str, Any]:
    """What an image depends on, as sorted plain JSON."""
    return plain_sorted({"image": image, **_images(experiment)[image].image.model_dump()})


def image_family(experiment: Experiment, image: str) -> str:
    """Family of the distribution in an image; roles have what differs between families."""
    return FAMILIES[_images(experiment)[image].image.os]


def image_variables(experiment: Experiment, image: str) -> dict[str, Any]:
    """Ansible variables with which an image is made, as sorted plain JSON."""
    section = _images(experiment)[image].image
    return plain_sorted(
        {
            "schedlab_os": section.os,
            "schedlab_os_family": FAMILIES[section.os],
            "schedlab_repositories": [one.model_dump() for one in section.repositories],
        }
    )


def provision_spec(experiment: Experiment, machines_id: str) -> dict[str, Any]:
    """What provisioned machines depend on, as sorted plain JSON.

    It does not contain the scheduler and its settings, which take effect when a cluster is
    configured, nor keys that only permit or limit something (oversubscribe, limits).
    """
    return _provision_spec(experiment, machines_id, machines(experiment)[machines_id])


def cluster_spec(experiment: Experiment, cluster_id: str) -> dict[str, Any]:
    """What a cluster depends on besides its settings (`variables`), as sorted plain JSON."""
    cluster = experiment.cluster(cluster_id)
    machines_id = machines_of(experiment, cluster)
    virtual = {"nodes": cluster.nodes, "node": cluster.node.model_dump()}
    return plain_sorted(
        {
            **({"virtual": virtual} if cluster.virtual else {}),
            **_provision_spec(experiment, machines_id, cluster),
            "id": cluster.id,
            "machines": machines_id,
            "scheduler": cluster.scheduler,
            "variant": cluster.variant,
        }
    )


def _provision_spec(experiment: Experiment, machines_id: str, cluster: Cluster) -> dict[str, Any]:
    image = image_of(experiment, cluster)
    return plain_sorted(
        {
            "id": machines_id,
            "nodes": cluster.machines_beside_head,
            **_machines_shape(cluster),
            "reset": cluster.reset,
            "network": experiment.network.model_dump(),
            "accelerator": experiment.accelerator,
            "libvirt": experiment.libvirt.model_dump(),
            "image": {"image": image, **cluster.image.model_dump()},
        }
    )


def _machines_shape(cluster: Cluster) -> dict[str, Any]:
    """Sizes and placement of a cluster's machines; those of carriers differ from those of nodes."""
    shape = _shape(cluster.head, cluster.guest, cluster.placement)
    return shape | ({"carriers": True} if cluster.virtual else {})


def _shape(head: Guest, node: Guest, placement: Placement) -> dict[str, Any]:
    return {
        "head": head.model_dump(),
        "node": node.model_dump(),
        "placement": placement.model_dump(exclude={"oversubscribe"}),
    }


def _short(content: dict[str, Any]) -> str:
    """Six hexadecimal digits of a digest; enough for the few dozen contents of an experiment."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def machines_spec(experiment: Experiment, machines_id: str) -> dict[str, dict[str, int]]:
    """Names and sizes (processors, MiB) of provisioned machines, as plain JSON."""
    return {
        name: {"vcpus": guest.vcpus, "memory_mib": guest.memory_mib}
        for name, guest in machines(experiment)[machines_id].machines().items()
    }


def settings(cluster: Cluster) -> dict[str, str]:
    """Native settings in force on a cluster: the defaults, overridden by the experiment's."""
    return scheduler_of(cluster).merged_settings(cluster.settings)


def variant_facts(experiment: Experiment, cluster: Cluster) -> dict[str, str]:
    """Keys of the experiment file for a cluster's variant -> values; settings as in force.

    Keys of settings contain the scheduler's name, because the same name has different meanings in
    two schedulers.
    """
    sections = {
        "image": {"image": image_of(experiment, cluster), **cluster.image.model_dump()},
        **_shape(cluster.head, cluster.node, cluster.placement),
        "metrics": cluster.metrics.model_dump(),
        "virtual": _played(cluster),
    }
    facts = {
        f"{section}.{key}": str(value)
        for section, content in sections.items()
        for key, value in content.items()
    }
    del facts["image.image"]
    found = settings(cluster)
    if scheduler_of(cluster).installation:
        # A channel, for example, is not in force beside a prefix.
        rest = {key: value for key, value in found.items() if key not in SETTINGS}
        found = rest | shaping(found)
    return facts | {f"{cluster.scheduler}: {key}": value for key, value in found.items()}


def _played(cluster: Cluster) -> dict[str, object]:
    """How the nodes of a cluster are carried and played; none where they are real."""
    virtual = cluster.virtual
    delays = virtual.delays.model_dump() if virtual else Delays().model_dump()
    return {
        "carriers": cluster.machines_beside_head if virtual else "none",
        "carrier.vcpus": virtual.carrier.vcpus if virtual else "none",
        "carrier.memory": virtual.carrier.memory if virtual else "none",
        # All quantiles: two distributions may have the same ends.
        **{
            f"delays.{kind}": ", ".join(f"{value:g}" for value in values) or "none"
            for kind, values in delays.items()
        },
    }


def variables(cluster: Cluster) -> dict[str, Any]:
    """Ansible variables of a cluster's configuration: its roles, settings, and virtual nodes."""
    scheduler = scheduler_of(cluster)
    own = scheduler.variables(settings(cluster))
    if cluster.virtual:
        shape: dict[str, Any] = {"cpus": cluster.node.vcpus, "memory_mib": cluster.node.memory_mib}
        virtual = {**shape, "carriers": cluster.carried()}
        if scheduler.virtual_delays:
            virtual["delays"] = cluster.virtual.delays.intervals()
        own |= scheduler.virtual_variables(virtual, own)
    return {
        "schedlab_roles": list(scheduler.roles),
        "schedlab_os_family": FAMILIES[cluster.image.os],
        **own,
    }
