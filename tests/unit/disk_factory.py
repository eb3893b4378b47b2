"""An experiment, results with things that it does not name, and a cache, for `schedlab disk`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from record_factory import write_record

from schedlab.cli.main import main
from schedlab.config import read_experiment
from schedlab.storage.marks import sign
from schedlab.toolchain.cache import Cache

MIB = 2**20


def trial_content(cluster: str, workload: str, repetition: str) -> dict[str, Any]:
    """What the record of a trial must have."""
    return {
        "trial": {
            **{"cluster": cluster, "workload": workload, "repetition": int(repetition)},
            **{"scheduler": "any", "order": 1, "nodes": 1, "cpus_per_node": 1},
        },
        "conditions": {},
        "verdict": {"valid": True, "reasons": []},
    }


class Place:
    """An experiment, its results with things that it does not name, and a cache."""

    def __init__(self, root: Path) -> None:
        self.root, self.results, self.cache = root, root / "results", Cache(root / "cache")
        self.experiments = root / "experiments.yaml"
        content = {
            "name": "mine",
            "nodes": [1],
            "repetitions": 2,
            "schedulers": ["slurm"],
            "workloads": [{"name": "burst", "kind": "burst", "jobs": 2, "runtime": 0}],
        }
        self.experiments.write_text(yaml.safe_dump(content))
        self.experiment = read_experiment(self.experiments)
        sign(self.results)
        for cluster, machines in (("slurm-n1", "slurm-n1"), ("slurm-n4", "slurm-n4")):
            self.folder(f"clusters/{machines}/provisioned", "provision")
            self.folder(f"clusters/{cluster}/configured", "configure")
            for repetition in (1, 2, 3):
                self.folder(f"trials/{cluster}/burst/{repetition}", "trial", ".")
        for image in ("slurm", "slurm-bookworm"):
            for stage in ("base", "image"):
                self.folder(f"images/{image}/{stage}", stage)

    def folder(self, name: str, stage: str, joint: str = "/") -> Path:
        folder = self.results / name
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(bytes(MIB))
        identifier = joint.join(name.split("/")[1:])
        content = trial_content(*name.split("/")[1:]) if stage == "trial" else {}
        write_record(folder / "record.json", self.results, stage, identifier, **content)
        return folder

    def run(self, *words: str, answer: str = "") -> Result:
        return CliRunner().invoke(
            main,
            [
                "disk",
                "--experiments",
                str(self.experiments),
                "--results",
                str(self.results),
                *words,
            ],
            input=answer,
            env={"SCHEDLAB_CACHE": str(self.cache.root)},
        )

    def left(self) -> set[str]:
        return {
            path.parent.relative_to(self.results).as_posix()
            for path in self.results.rglob("record.json")
        }
