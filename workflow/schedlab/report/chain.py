"""The chain of records behind each cluster's trials, and what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schedlab.config.model import Cluster, Experiment
from schedlab.errors import SchedlabError
from schedlab.records import load_record

DIFFERS = "DIFFERS"
"""Of a trial whose record names another lineage of its cluster than the cluster's record has."""


class Records:
    """Records of an experiment; a missing or damaged one is None and is named in the report.

    Parameters
    ----------
    results : pathlib.Path
        The results folder.
    experiment : Experiment
        Names clusters and trials.
    """

    def __init__(self, results: Path, experiment: Experiment) -> None:
        self._results = results
        self.experiment = experiment
        self.accelerator = self._load("accelerator.json")
        self.trials = {
            key.id: self._load(f"trials/{key.cluster}/{key.workload}/{key.repetition}/record.json")
            for key in experiment.trials()
        }

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            return load_record(self._results / name)
        except SchedlabError:
            return None

    @property
    def newest(self) -> str:
        """Day and time of the newest trial's record; empty without records."""
        dates = [str(record["created"]) for record in self.trials.values() if record]
        return moment(max(dates, default=""))

    def created(self, trial: str) -> str:
        """When a trial's record was begun; empty without one."""
        record = self.trials.get(trial)
        return moment(str(record["created"])) if record else ""

    def _first_trial(self, cluster: str) -> list[tuple[str, dict[str, Any]]]:
        """First record there is of a cluster's trials, as a list of none or one."""
        found = [r for r in self.trials.values() if r and r["trial"]["cluster"] == cluster]
        return [("trial", record) for record in found[:1]]

    def agreement(self, trial: str) -> str:
        """Whether a trial names the lineage of its cluster's record as it is now."""
        record = self.trials.get(trial)
        if record is None:
            return "record missing"
        cluster = record["trial"]["cluster"]
        configured = self._load(f"clusters/{cluster}/configured/record.json")
        if configured is None:
            return "cluster's record missing"
        named = (record.get("parents") or {}).get("configured", {}).get("lineage")
        return "agrees" if named == configured["lineage"] else DIFFERS

    def cluster(self, cluster: Cluster) -> dict[str, Any]:
        """Everything that the report shows of one cluster."""
        folder = f"clusters/{cluster.id}"
        images = f"images/{cluster.image}"
        paths = {
            "configured": f"{folder}/configured/record.json",
            "provisioned": f"{folder}/provisioned/record.json",
            "image": f"{images}/image/record.json",
            "base": f"{images}/base/record.json",
            "accelerator": "accelerator.json",
        }
        records = {
            stage: self.accelerator if stage == "accelerator" else self._load(path)
            for stage, path in paths.items()
        }
        found = {stage: record for stage, record in records.items() if record}
        return {
            "id": cluster.id,
            "scheduler": cluster.scheduler,
            "nodes": cluster.nodes,
            "machines": [
                {"name": name, "vcpus": guest.vcpus, "memory": guest.memory_mib}
                for name, guest in cluster.machines().items()
            ],
            "steps": [_step(stage, paths[stage], records) for stage in paths],
            "guests": _guests(found),
            "configuration": _realised(found, "configured", "configuration", {}),
            "domains": _realised(found, "provisioned", "domain_xml", {}),
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
                for name, version in sorted((record.get("tools") or {}).items())
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


def _step(stage: str, path: str, records: dict[str, dict[str, Any] | None]) -> dict[str, Any]:
    """One record of the chain, and whether those built on it name the same lineage."""
    record = records[stage]
    if record is None:
        return {"stage": stage, "path": path, "missing": True}
    named = [
        (child, other["parents"][stage]["lineage"])
        for child, other in records.items()
        if other and stage in (other.get("parents") or {})
    ]
    wrong = [child for child, lineage in named if lineage != record["lineage"]]
    return {
        "stage": stage,
        "path": path,
        "missing": False,
        "lineage": record["lineage"],
        "created": moment(str(record.get("created", ""))),
        "duration": record.get("duration"),
        "parents": sorted(record.get("parents") or {}),
        "named": [child for child, _ in named],
        "wrong": wrong,
    }


def _realised(records: dict[str, dict[str, Any]], stage: str, key: str, default: Any) -> Any:
    return (records.get(stage, {}).get("realised") or {}).get(key) or default


def _guests(records: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """What each node said of itself when it was configured, or else when it was provisioned."""
    nodes = _realised(records, "configured", "nodes", {}) or _realised(
        records, "provisioned", "nodes", {}
    )
    return [
        {
            "name": name,
            "kernel": str(facts.get("kernel", "")),
            "cmdline": str(facts.get("cmdline", "")),
            "clocksource": str(facts.get("clocksource", "")),
            "cpu": str((facts.get("lscpu") or {}).get("Model name", "")),
            "cpus": str((facts.get("lscpu") or {}).get("CPU(s)", "")),
        }
        for name, facts in nodes.items()
    ]


def _terraform(records: dict[str, dict[str, Any]]) -> str:
    """Terraform's outputs as JSON, without those that Terraform itself calls sensitive."""
    outputs = _realised(records, "provisioned", "terraform_outputs", {})
    return _json(
        {
            name: output | {"value": "[withheld]"} if output.get("sensitive") else output
            for name, output in outputs.items()
        }
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) if value else ""
