"""A bisection runs its trials through Snakemake, and only those that are missing (SIMULATED)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from conftest import MiniWorkflow

from schedlab.bisection.search import search
from schedlab.paths import trial_record

pytestmark = pytest.mark.workflow

NAMES = [f"v{number}" for number in range(1, 6)]
EXPERIMENT = """\
name: bisect
repetitions: 3
schedulers:
{variants}
nodes: [1]
placement: {{oversubscribe: true}}
workloads: [{{name: burst, kind: burst, jobs: 2, runtime: 0}}]
"""
BAD = "v4"
LOOKS = (8, 9)


@pytest.fixture
def lab(mini: MiniWorkflow) -> MiniWorkflow:
    variants = "\n".join(
        f"  - {{name: {name}, scheduler: slurm, settings: {{MinJobAge: '{place + 1000}'}}}}"
        for place, name in enumerate(NAMES)
    )
    (mini.root / "config" / "bisect.yaml").write_text(EXPERIMENT.format(variants=variants))
    mini.config = "config/bisect.yaml"
    values = {f"{name}-n1.burst": [2.0 if name >= BAD else 1.0] * 99 for name in NAMES}
    mini.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(values)
    return mini


def measured(lab: MiniWorkflow, ran: list[str]):
    def measure(variants: Sequence[str], repetitions: range) -> pd.DataFrame:
        keys = [(name, n) for name in variants for n in repetitions]
        paths = [trial_record(f"{name}-n1", "burst", n) for name, n in keys]
        commands = lab.run("--cores", "2", "--", *(f"results/{path}" for path in paths))
        ran.extend(command for command in commands if command.startswith("trial "))
        rows = []
        for (name, n), path in zip(keys, paths, strict=True):
            record = json.loads(Path(lab.root / "results" / path).read_text())
            rows.append(
                {
                    "scheduler": name, "workload": "burst", "nodes": 1, "valid": True,
                    "accelerator": "tcg", "host": "h", "trace": "t", "block": "b",
                    "repetition": n, "at_least": [],
                    "makespan_s": record["conditions"]["value"] * (1 + n % 3 / 1000),
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    return measure


def test_trials_run_once_in_a_mixed_order_and_a_second_search_runs_none(lab: MiniWorkflow) -> None:
    ran: list[str] = []
    found = search(NAMES, "makespan", measured(lab, ran), looks=LOOKS)
    assert (found.last_good, found.first_bad) == ("v3", BAD)
    assert len(found.steps) == 2
    assert len(ran) == len(set(ran)) == 2 * 2 * LOOKS[0]
    # The two sides of a comparison take turns at random, also beyond the experiment's repetitions.
    sides = [re.search(r"--cluster=(v\d)", command)[1] for command in ran[: 2 * LOOKS[0]]]
    changes = sum(one != other for one, other in zip(sides, sides[1:], strict=False))
    assert changes >= 3
    again: list[str] = []
    assert search(NAMES, "makespan", measured(lab, again), looks=LOOKS).first_bad == BAD
    assert again == []
