"""Trials on virtual nodes count only if the carriers had the daemons of all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trial_factory import make_experiment, make_trial

from schedlab.config.trials import TrialKey
from schedlab.results.records import write_json
from schedlab.schedulers import get_scheduler
from schedlab.tables.carried import carrier_checks
from schedlab.tables.schemas import FAILED, PASSED, UNKNOWN
from schedlab.tables.trial_rows import read_trial

NAME = "daemons of virtual nodes missing"
FIVE = {"nodes": 5, "carriers": 2}


def counts(name: str, *moments: tuple[float, float]) -> dict[str, Any]:
    """Counters of carriers 1 and 2 at the start, then at the end: (processes, starts) of each."""
    found: dict[str, Any] = {}
    for at, pair in zip(("start", "end"), (moments[:2], moments[2:]), strict=True):
        found[at] = {
            f"carrier{number}": {name: {"processes": float(there), "starts": float(starts)}}
            for number, (there, starts) in enumerate(pair, start=1)
        }
    return {"daemon_cost": found}


@pytest.mark.parametrize(
    ("scheduler", "name", "moments", "said"),
    [
        ("slurm", "slurmd", ((3, 3), (2, 2), (3, 3), (2, 2)), ""),
        # As it starts a job a slurmd is two of that name for a moment.
        ("slurm", "slurmd", ((3, 3), (2, 2), (4, 19), (2, 5)), ""),
        ("slurm", "slurmd", ((3, 3), (2, 2), (3, 3), (1, 2)),
         "2 had 1 of 2 slurmd at the trial's end"),
        ("slurm", "slurmd", ((2, 3), (2, 2), (2, 3), (2, 2)),
         "1 had 2 of 3 slurmd at the trial's start"),
        ("kubernetes", "kwok", ((1, 1), (1, 1), (1, 1), (1, 1)), ""),
        ("kubernetes", "kwok", ((1, 1), (1, 1), (1, 2), (1, 1)), "carrier1 was started again"),
        ("volcano", "kwok", ((1, 1), (1, 1), (1, 1), (0, 1)), "carrier2 had 0 of 1 kwok"),
    ],
)  # fmt: skip
def test_a_missing_daemon_fails(
    scheduler: str, name: str, moments: tuple[tuple[float, float], ...], said: str
) -> None:
    (check,) = carrier_checks(FIVE, counts(name, *moments), get_scheduler(scheduler))
    assert (check.name, check.verdict) == (NAME, FAILED if said else PASSED)
    assert said in check.reason


def test_nothing_is_asked_where_carriers_have_no_nodes_or_the_trial_restarts_the_daemon() -> None:
    gone = counts("slurmd", (0, 3), (2, 2), (0, 3), (2, 2))
    slurm = get_scheduler("slurm")
    assert carrier_checks({"nodes": 5}, gone, slurm) == []
    assert carrier_checks(FIVE, gone, get_scheduler("flux")) == []
    assert carrier_checks(FIVE, gone | {"fault": {"restarts": ["slurmd"]}}, slurm) == []
    for conditions in ({}, {"daemon_cost": {"start": gone["daemon_cost"]["start"]}}):
        (check,) = carrier_checks(FIVE, conditions, slurm)
        assert check.verdict == UNKNOWN


def test_such_a_trial_is_invalid(tmp_path: Path) -> None:
    experiment = make_experiment(nodes=[16], virtual={"carriers": 2})
    key = TrialKey("slurm-virtual-n16", "burst", 1)
    folder = make_trial(tmp_path, key, experiment)
    assert read_trial(folder).trial["valid"]
    record = json.loads((folder / "record.json").read_text())
    record["conditions"]["daemon_cost"]["end"]["carrier2"]["slurmd"]["processes"] = 5.0
    write_json(folder / "record.json", record)
    trial = read_trial(folder).trial
    assert trial["reasons"] == ["carrier2 had 5 of 8 slurmd at the trial's end"]
    assert not trial["valid"]
