"""The experiment with the schedulers known: images, settings in force, what shapes a cluster.

`config` says what a user wrote and knows no scheduler; `schedulers` know no experiment. Whatever
needs both is here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schedlab.config import Cluster, Experiment, HostFacts
from schedlab.config import load as _load
from schedlab.config.model import plain_sorted
from schedlab.schedulers import Scheduler, get_scheduler, scheduler_names


def load_experiment(
    path: Path, host: HostFacts | None = None, root: Path | None = None
) -> Experiment:
    """Read and check an experiment, the settings of its schedulers among the rest.

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
    return _load.load_experiment(path, known, host, root)


def scheduler_of(cluster: Cluster) -> Scheduler:
    """Adapter of a cluster's scheduler."""
    return get_scheduler(cluster.scheduler)


def image_of(cluster: Cluster) -> str:
    """Name of the image that a cluster's machines start from."""
    return scheduler_of(cluster).image


def images(experiment: Experiment) -> list[str]:
    """Names of the images that the clusters start from, each once, in order of schedulers."""
    return list(dict.fromkeys(image_of(cluster) for cluster in experiment.clusters()))


def image_spec(experiment: Experiment, image: str) -> dict[str, Any]:
    """What shapes an image, as sorted plain JSON."""
    return plain_sorted({"image": image, **experiment.image.model_dump()})


def cluster_spec(experiment: Experiment, cluster_id: str) -> dict[str, Any]:
    """What shapes the machines of a cluster, as sorted plain JSON.

    Not in it: the scheduler's settings (`variables`), which take effect when the cluster is
    configured, and what only permits or limits (oversubscribe, limits).
    """
    cluster = experiment.cluster(cluster_id)
    return plain_sorted(
        {
            "id": cluster.id,
            "scheduler": cluster.scheduler,
            "nodes": cluster.nodes,
            "head": cluster.head.model_dump(),
            "node": cluster.node.model_dump(),
            "placement": cluster.placement.model_dump(exclude={"oversubscribe"}),
            "reset": cluster.reset,
            "network": experiment.network.model_dump(),
            "accelerator": experiment.accelerator,
            "libvirt": experiment.libvirt.model_dump(),
            "image": image_spec(experiment, image_of(cluster)),
        }
    )


def settings(experiment: Experiment, cluster: Cluster) -> dict[str, str]:
    """Native settings in force on a cluster: the defaults with the experiment's over them."""
    overrides = experiment.settings.get(cluster.scheduler, {})
    return scheduler_of(cluster).merged_settings(overrides)


def variables(experiment: Experiment, cluster: Cluster) -> dict[str, Any]:
    """Ansible variables of a cluster's configuration: its roles, and the settings in force."""
    scheduler = scheduler_of(cluster)
    return {
        "schedlab_roles": list(scheduler.roles),
        **scheduler.variables(settings(experiment, cluster)),
    }
