"""A real cluster of one compute node with hardware virtualisation; `make test-kvm` runs it.

`SCHEDLAB_TEST_CHANGES` names a YAML file with keys over config/tests/one-node.yaml, for example the
section `image` of another distribution.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from campaign import ROOT, Campaign, changed, guests, not_as_asked, shapes

CLUSTER, WORKLOAD = "slurm-n1", "burst"
CORES = 3
"""Processors of the cluster: exclusive pinning gives each a core of the host."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        os.environ.get("SCHEDLAB_TEST_KVM") != "1", reason="make test-kvm runs it: needs KVM"
    ),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run; it fails where KVM does not work, and never falls back to emulation."""
    assert os.geteuid() == 0, "run it as root: it needs network and mount namespaces"
    assert Path("/dev/kvm").exists(), "no /dev/kvm; see make test-kvm NESTED="
    folder = tmp_path_factory.mktemp("kvm") / "results"
    given = os.environ.get("SCHEDLAB_TEST_CHANGES")
    changes = yaml.safe_load(Path(given).read_text(encoding="utf-8")) if given else {}
    exclusive = len(os.sched_getaffinity(0)) > CORES
    placement = {"pinning": "exclusive", "numa": 0} if exclusive else {"oversubscribe": True}
    made = changed(
        ROOT / "config/tests/one-node.yaml",
        folder,
        **{"accelerator": "kvm", "placement": placement, "repetitions": 2} | changes,
    )
    made.run()
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def test_guests_ran_on_the_hosts_processors(campaign: Campaign) -> None:
    found = json.loads((campaign.results / "accelerator.json").read_text())
    assert found["accelerator"]["accelerator"] == "kvm"
    folder = campaign.results / "clusters" / CLUSTER
    record = json.loads((folder / "provisioned" / "record.json").read_text())
    # Pinning and NUMA node were compared with what was declared when the guests had started.
    domains = record["realised"]["domain_xml"]
    assert set(domains) == {"head", "compute1"}
    for text in domains.values():
        assert "type='kvm'" in text and "host-passthrough" in text


def test_trials_from_a_restored_snapshot_are_valid(campaign: Campaign) -> None:
    for repetition in (1, 2):
        folder = campaign.trial(CLUSTER, WORKLOAD, repetition)
        assert campaign.verdict(folder) == {"valid": True, "reasons": []}
        trace, _, ran = shapes(folder)
        assert not_as_asked(trace, ran) == []
    trials = pq.read_table(campaign.results / "tables/trials.parquet").to_pandas()
    assert len(trials) == 2 and trials["valid"].all()


def test_nothing_is_left_running(campaign: Campaign) -> None:
    assert guests() == []
    assert (campaign.results / "report.html").stat().st_size > 10_000
