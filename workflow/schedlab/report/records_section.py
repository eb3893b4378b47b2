"""The report's section on records: the chain of records, and facts from the clusters' records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from schedlab.config import Cluster, Experiment
from schedlab.design import image_of, machines_of, scheduler_of
from schedlab.figures import FIGURES
from schedlab.lineage.chain import Link, anchor, chain, commits, disks, versions
from schedlab.paths import (
    ACCELERATOR,
    TABLES_RECORD,
    cluster_record,
    figure_record,
    image_record,
)
from schedlab.results.imports import label
from schedlab.results.store import Store, origin_of, record_of_trial

STAGES = {
    "figure": "Figures",
    "tables": "Tables",
    "trial": "Trials",
    "decision": "Decisions on trials and clusters",
    "trace": "Traces",
    "configure": "Configured clusters",
    "provision": "Provisioned clusters",
    "image": "Images",
    "programs": "Programs of images",
    "accelerator": "Accelerator",
    "base": "Base disks",
    "toolchain": "Tools",
}
"""Stages with their headings, from the figures back to the stages without inputs."""


class Records:
    """Records of an experiment; a missing or damaged one is None and is named in the report.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    experiment : Experiment
        Names clusters and trials.
    tabled : iterable of str
        Trials in the tables, which may be imported, or of an earlier version of the experiment.
    below : str
        Path of the folder within the report's results, for links to its records.
    """

    def __init__(
        self, results: Path, experiment: Experiment, tabled: Iterable[str] = (), below: str = ""
    ) -> None:
        self._store = Store(results)
        self._below = below
        self.experiment = experiment
        self.accelerator = self._store.record(ACCELERATOR)
        self.trials = {
            key.id: self._store.record(record_of_trial(key.id)) for key in experiment.trials()
        }
        self._tabled = tuple(tabled)

    @cached_property
    def links(self) -> list[Link]:
        """Every link behind the figures, the tables and the clusters."""
        clusters = [self._paths(cluster) for cluster in self.experiment.clusters()]
        return chain(
            self._store,
            *(figure_record(figure) for figure in FIGURES),
            TABLES_RECORD,
            *map(record_of_trial, self.trials),
            *map(record_of_trial, self._tabled),
            *(path for stages in clusters for path in stages.values()),
        )

    @property
    def newest(self) -> str:
        """Day and time of the newest trial's record; empty without records."""
        dates = [str(record["created"]) for record in self.trials.values() if record]
        return moment(max(dates, default=""))

    def chain(self) -> dict[str, Any]:
        """The whole chain, for the report's section of it.

        Returns
        -------
        dict
            `groups` (each `title` and `links`), `commits` and `disks`. Links lead to one another
            by `anchor`.
        """
        states = commits(self.links)
        numbers = {path: n for n, state in enumerate(states, 1) for path in state["records"]}
        groups: dict[str, list[dict[str, Any]]] = {title: [] for title in STAGES.values()}
        for link in self.links:
            stage = link.record["stage"] if link.record else _stage(link.path)
            groups[STAGES[stage]].append(_shown(link, numbers.get(link.path)))
        return {
            "groups": [{"title": t, "links": links} for t, links in groups.items() if links],
            "commits": [
                {**state, "number": n, "records": len(state["records"])}
                for n, state in enumerate(states, 1)
            ],
            "disks": [{**disk, "anchor": anchor(disk["path"])} for disk in disks(self.links)],
            "broken": sum(bool(link.problem) for link in self.links)
            + sum(bool(parent.problem) for link in self.links for parent in link.parents),
        }

    def _first_trial(self, cluster: str) -> list[tuple[str, dict[str, Any]]]:
        """First record there is of a cluster's trials, as a list of none or one."""
        found = [r for r in self.trials.values() if r and r["trial"]["cluster"] == cluster]
        return [("trial", record) for record in found[:1]]

    def _paths(self, cluster: Cluster) -> dict[str, str]:
        image = image_of(self.experiment, cluster)
        return {
            "configured": cluster_record(cluster.id, "configured"),
            "provisioned": cluster_record(machines_of(self.experiment, cluster), "provisioned"),
            "image": image_record(image, "image"),
            "base": image_record(image, "base"),
            "accelerator": ACCELERATOR,
        }

    def cluster(self, cluster: Cluster) -> dict[str, Any]:
        """Everything that the report shows of one cluster."""
        paths = self._paths(cluster)
        records = {stage: self._store.record(path) for stage, path in paths.items()}
        found = {stage: record for stage, record in records.items() if record}
        return {
            "id": cluster.id,
            "scheduler": cluster.scheduler,
            "nodes": cluster.nodes,
            "virtual": _virtual(cluster),
            "not_run": str(found.get("configured", {}).get("not_run") or ""),
            "machines": [
                {"name": name, "vcpus": guest.vcpus, "memory": guest.memory_mib}
                for name, guest in cluster.machines().items()
            ],
            "steps": [
                {"stage": stage, "anchor": anchor(self._below + path)}
                for stage, path in paths.items()
            ],
            "guests": _guests(found),
            "software": _realised(found, "configured", "software", {}),
            "tuning": _tuning(_realised(found, "configured", "tuning", [])),
            "configuration": _realised(found, "configured", "configuration", {}),
            "domains": _realised(found, "provisioned", "domain_xml", {}),
            "qemu": _realised(found, "provisioned", "qemu", {}),
            "terraform": _terraform(found),
            "packages": _realised(found, "configured", "packages", [])
            or _realised(found, "image", "packages", []),
            "disks": [
                {"stage": stage, "sha256": digest}
                for stage in ("image", "base")
                if (digest := _realised(found, stage, "disk_sha256", None))
            ],
            "tools": [
                {"stage": stage, "name": name, "version": version}
                for stage, record in [*self._first_trial(cluster.id), *found.items()]
                for name, version in versions(record).items()
            ],
            "settings": _json(found.get("configured", {}).get("settings")),
            "outputs": [
                {"stage": stage, "file": name, "sha256": digest}
                for stage, record in found.items()
                for name, digest in sorted((record.get("outputs") or {}).items())
            ],
            "inputs": [
                {"stage": stage, "file": name, "sha256": digest}
                for stage, record in found.items()
                for name, digest in sorted((record.get("inputs") or {}).items())
            ],
        }


def moment(text: str) -> str:
    """Write a record's date for people: ``2026-09-21 14:51:40 UTC``."""
    return text.replace("T", " ").replace("+00:00", " UTC")


def _stage(path: str) -> str:
    """Stage of a record that cannot be read, by its path."""
    parts = Path(path).parts[2 if origin_of(path) else 0 :]
    folder = {"figures": "figure", "tables": "tables", "trials": "trial", "traces": "trace",
              "decisions": "decision"}  # fmt: skip
    states = {"configured": "configure", "provisioned": "provision"}
    inner = parts[-2] if len(parts) > 1 else parts[0].removesuffix(".json")
    return folder.get(parts[0]) or states.get(inner, inner)


def _shown(link: Link, state: int | None) -> dict[str, Any]:
    """One record of the chain as plain data."""
    record = link.record or {}
    return {
        "anchor": link.anchor,
        "id": label(origin_of(link.path), str(record.get("id", ""))),
        "path": link.path,
        "problem": link.problem,
        "lineage": record.get("lineage", ""),
        "created": moment(str(record.get("created", ""))),
        "duration": record.get("duration"),
        "command": record.get("command") or "",
        "state": state,
        "parents": [
            {
                "name": parent.name,
                "id": parent.id,
                "anchor": anchor(parent.path),
                "problem": parent.problem,
            }
            for parent in link.parents
        ],
    }


def _realised(records: dict[str, dict[str, Any]], stage: str, key: str, default: Any) -> Any:
    return (records.get(stage, {}).get("realised") or {}).get(key) or default


def _virtual(cluster: Cluster) -> str:
    """Virtual nodes of a cluster, in words; empty where its nodes are real."""
    if not cluster.virtual:
        return ""
    carriers = cluster.machines_beside_head
    return (
        f"{cluster.nodes} virtual nodes of {cluster.node.vcpus} processors and"
        f" {cluster.node.memory_mib} MiB, "
    ) + (
        f"carried by {carriers} of the machines"
        if scheduler_of(cluster).virtual_daemon
        else f"played on the head; {carriers} of the machines run nothing of the scheduler"
    )


def _guests(records: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Facts that each node reported when it was configured, or else when it was provisioned."""
    nodes = _realised(records, "configured", "nodes", {}) or _realised(
        records, "provisioned", "nodes", {}
    )
    return [
        {
            "name": name,
            "os": str(facts.get("os", "")),
            "selinux": str(facts.get("selinux", "")).lower(),
            "kernel": str(facts.get("kernel", "")),
            "cmdline": str(facts.get("cmdline", "")),
            "clocksource": str(facts.get("clocksource", "")),
            "cpu": str((facts.get("lscpu") or {}).get("Model name", "")),
            "cpus": str((facts.get("lscpu") or {}).get("CPU(s)", "")),
        }
        for name, facts in nodes.items()
    ]


def systems(clusters: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What runs on the nodes of each variant, as realised: equal systems together.

    Returns
    -------
    list of dict
        `schedulers` (names, separated by commas) and `told` (distribution, kernel, versions of
        packages; empty ones are left out).
    """
    found: dict[str, list[str]] = {}
    for cluster in clusters:
        guests = cluster["guests"]
        told = [
            *dict.fromkeys(guest["os"] for guest in guests if guest["os"]),
            *dict.fromkeys(f"Linux {guest['kernel']}" for guest in guests if guest["kernel"]),
            *(f"{name} {version}" for name, version in cluster["software"].items()),
        ]
        if told:
            found.setdefault("; ".join(told), []).append(str(cluster["scheduler"]))
    return [
        {"schedulers": ", ".join(dict.fromkeys(names)), "told": told}
        for told, names in found.items()
    ]


def _tuning(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings of the kernel: what was asked for, and what the nodes have, equal ones together."""
    return [
        {
            "key": row["key"],
            "asked": row.get("value", ""),
            "found": _found(row["found"]),
            "reason": row.get("reason", ""),
            "source": row.get("source", ""),
        }
        for row in rows
    ]


def _found(nodes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Values of a setting with their places, and the nodes that have them if not all have."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for node, places in nodes.items():
        if len(set(places.values())) == 1:
            values = tuple(dict.fromkeys(places.values()))
        else:
            values = tuple(f"{at.rpartition('/')[2]}: {value}" for at, value in places.items())
        groups.setdefault(values, []).append(node)
    told = []
    for values, names in groups.items():
        text = "; ".join(value or "empty" for value in values) or "not offered"
        told.append(text if len(groups) == 1 else f"{', '.join(names)}: {text}")
    return told


def _terraform(records: dict[str, dict[str, Any]]) -> str:
    """Terraform's outputs as JSON, without those that Terraform marks as sensitive."""
    outputs = _realised(records, "provisioned", "terraform_outputs", {})
    return _json(
        {
            name: output | {"value": "[withheld]"} if output.get("sensitive") else output
            for name, output in outputs.items()
        }
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) if value else ""
