"""Real clusters that take too long for `make test`: two compute nodes, and one that boots anew.

`make test-all` runs this. All clusters are made from one image, in one folder of results.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from campaign import (
    NEEDS_ROOT,
    ROOT,
    Campaign,
    changed,
    guests,
    measured,
    not_as_asked,
    shapes,
)

from schedlab.results.records import load_record, verify_outputs
from schedlab.schedulers.equivalence import differences

EXPERIMENT = ROOT / "config/tests/two-nodes.yaml"
TRIAL = ("slurm-n2", "gang")
BOOTED = ("slurm-n1", "gang")

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results folder that all clusters of this module share, with the image."""
    folder = tmp_path_factory.mktemp("e2e") / "results"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def campaign(results: Path) -> Campaign:
    """One complete run on two compute nodes."""
    made = Campaign(str(EXPERIMENT), results)
    made.run()
    return made


@pytest.fixture(scope="module")
def booted(results: Path) -> Campaign:
    """One complete run on a cluster that is never saved with its memory."""
    boot = {"oversubscribe": True, "reset": "boot"}
    made = changed(EXPERIMENT, results, nodes=[1], aa=False, placement=boot)
    made.run()
    return made


def test_a_job_of_two_nodes_runs_on_both_at_once(campaign: Campaign) -> None:
    assert campaign.verdict(campaign.trial(*TRIAL)) == {"valid": True, "reasons": []}
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    assert sorted(trials["cluster"]) == ["slurm-again-n2", "slurm-n2"]
    assert measured(trials), list(trials["reasons"])
    jobs = pq.read_table(campaign.results / "tables/jobs.parquet").to_pandas()
    assert set(jobs["state"]) == {"COMPLETED"}
    jobs = jobs[jobs["cluster"] == "slurm-n2"]
    gangs = jobs[jobs["nodes"] == 2]
    assert len(gangs) == 2
    for _, job in gangs.iterrows():
        assert set(job["placement"]) == {"compute1", "compute2"}
        assert len(job["rank_started"]) == 2
        # Both ranks ran at the same time, by the clocks of their two guests.
        assert max(job["rank_started"]) < min(job["rank_finished"])


def test_what_ran_is_what_the_trace_asked_for(campaign: Campaign) -> None:
    trace, translated, ran = shapes(campaign.trial(*TRIAL))
    assert differences(trace, translated) == []
    assert not_as_asked(trace, ran) == []


def test_every_offset_keeps_the_instant_of_its_measurement(campaign: Campaign) -> None:
    conditions = load_record(campaign.trial(*TRIAL) / "record.json")["conditions"]
    assert set(conditions["clock"]) == {"head", "compute1", "compute2"}
    for moments in conditions["clock"].values():
        assert moments["start"]["at_ns"] < conditions["start_ns"]
        assert moments["end"]["at_ns"] > conditions["end_ns"]


def test_two_clusters_are_configured_on_machines_that_were_created_once(
    campaign: Campaign,
) -> None:
    created = list((campaign.results / "clusters").glob("*/provisioned/record.json"))
    configured = list((campaign.results / "clusters").glob("*/configured/record.json"))
    assert (len(created), len(configured)) == (1, 2)


def test_the_run_leaves_nothing(campaign: Campaign) -> None:
    assert campaign.left() == []


def test_a_guest_killed_in_a_trial_makes_it_invalid_by_name_and_leaves_nothing(
    campaign: Campaign,
) -> None:
    """The watchdog notices it, so that nothing waits for a limit, and the other guests end, too."""
    folder = campaign.trial(*TRIAL)
    process = campaign.start_again(*TRIAL)
    victim = next(p for p in guests() if "compute2" in " ".join(p.cmdline()))
    victim.kill()
    assert process.wait(1800) == 0
    verdict = campaign.verdict(folder)
    assert not verdict["valid"]
    assert "the guest compute2 died" in verdict["reasons"][0]
    assert "compute2" in (campaign.results / "report.html").read_text()
    assert campaign.left() == []


def test_a_trial_boots_its_cluster_from_frozen_disks(booted: Campaign) -> None:
    configured = booted.results / "clusters/slurm-n1/configured"
    snapshot = configured / "snapshot"
    manifest = json.loads((snapshot / "cluster.json").read_text())
    assert [node["name"] for node in manifest["nodes"]] == ["head", "compute1"]
    assert not any("memory" in node for node in manifest["nodes"])
    assert not list(snapshot.glob("*.save"))
    record = load_record(booted.trial(*BOOTED) / "record.json")
    assert record["conditions"]["reset"] == "boot"
    assert record["verdict"] == {"valid": True, "reasons": []}
    jobs = pq.read_table(booted.results / "tables/jobs.parquet").to_pandas()
    assert set(jobs["state"]) == {"COMPLETED"}
    verify_outputs(configured / "record.json")  # the disks are unchanged
    assert booted.left() == []
