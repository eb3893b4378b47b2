"""What no machine has, in the form of a record. SYNTHETIC."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bundle_factory import packed
from record_factory import put

from schedlab.results.contradictions import chain_contradiction, record_contradiction
from schedlab.results.records import file_digest, load_record, write_json

TRIAL = "trials/slurm-n1/burst/1/record.json"
CONFIGURED = "clusters/slurm-n1/configured/record.json"


@pytest.fixture
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((packed().results / TRIAL).read_text())
    return found


def test_what_was_made_here_contradicts_nothing() -> None:
    paths = sorted(packed().results.rglob("*record.json"))
    assert len(paths) > 10
    for path in paths:
        found = load_record(path)
        assert record_contradiction(found) is None, path
        if found["stage"] == "trial":
            assert chain_contradiction(found, packed().results) is None


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("created", "9999-12-31T23:59:59+00:00", "created is '9999-12-31T23:59"),
        ("created", "2019-12-31T23:59:59+00:00", "created is '2019-12-31T23:59:59+00:00', before"),
        ("conditions.campaign", "2001-01-01T00:00:00+00:00", "conditions.campaign is '2001-"),
        ("conditions.campaign", "2026-09-24T15:00:00", "conditions.campaign is '2026-"),
        ("conditions.campaign", "monday", "conditions.campaign is 'monday', not a date"),
        ("conditions.bridge", "2026-09-24T00:00:00+00:00", "conditions.bridge is '2026-09-24"),
        ("conditions.start_ns", 1, "conditions.start_ns is 1, before created"),
        ("conditions.host.during.processor.steal", 5000.0, "processor.steal is 5000.0 s, more"),
        ("conditions.host.during.pressure", {"io_some": 99.0}, "pressure.io_some is 99.0, more"),
        ("conditions.clock.head", {}, "conditions lacks clock.head.start"),
        ("outputs", {"trace.json": "0"}, "outputs is ['trace.json'], but a trial that came so far"),
    ],
)
def test_what_cannot_be_true_is_named(
    record: dict[str, Any], place: str, value: Any, said: str
) -> None:
    assert said in str(record_contradiction(put(record, place.split("."), value)))


def test_a_trial_that_failed_or_did_not_run_may_lack_much(record: dict[str, Any]) -> None:
    failed = {"valid": False, "reasons": ["the guest head died"]}
    kept = {"trace.json": record["outputs"]["trace.json"]}
    record |= {"conditions": {}, "verdict": failed, "outputs": kept}
    assert record_contradiction(record) is None
    record |= {"outputs": {}}
    assert "always has trace.json" in str(record_contradiction(record))
    assert record_contradiction(record | {"not_run": "stopped"}) is None


def test_a_host_of_which_a_process_has_a_part_may_be_busier(record: dict[str, Any]) -> None:
    seconds = (record["conditions"]["end_ns"] - record["conditions"]["start_ns"]) / 1e9
    spent = {"busy": 40 * seconds, "steal": 3 * seconds, "idle": 21 * seconds}
    record["conditions"]["host"] |= {"steal": 3 * seconds}
    record["conditions"]["host"]["during"]["processor"] = spent
    assert record_contradiction(record) is None


MACHINES = [
    {"name": "head", "vcpus": 1, "memory_mib": 1024},
    {"name": "compute1", "vcpus": 2, "memory_mib": 768},
]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (MACHINES, None),
        ([MACHINES[0] | {"vcpus": 3}, MACHINES[1]], "head.cpus is 1, but .*nodes.head.vcpus 3"),
        ([MACHINES[0], MACHINES[1] | {"memory_mib": 9}], "compute1.memory_mib is 768, but .* 9"),
        (MACHINES[:1], "declared has 'compute1', but"),
        ([*MACHINES, MACHINES[1] | {"name": "compute2"}], "compute2.cpus is None, but"),
    ],
)  # fmt: skip
def test_machines_are_those_of_the_cluster(
    record: dict[str, Any], nodes: list[dict[str, Any]], said: str | None, tmp_path: Path
) -> None:
    configured = load_record(packed().results / CONFIGURED)
    path = tmp_path / CONFIGURED
    path.parent.mkdir(parents=True)
    write_json(path, configured | {"cluster": {"nodes": nodes}, "settings": None})
    record["conditions"]["declared"] = {
        node["name"]: {"cpus": node["vcpus"], "memory_mib": node["memory_mib"]} for node in MACHINES
    }
    record["parents"]["configured"]["record"] = file_digest(path)
    found = chain_contradiction(record, tmp_path)
    if said is None:
        assert found is None
    else:
        assert found is not None and re.search(said, found), found


@pytest.mark.parametrize(
    ("facts", "virtual", "said"),
    [
        ({"carriers": 1}, {"nodes": 1}, None),
        ({}, None, None),
        ({}, {"nodes": 1}, "no trial.carriers, but .* has settings.virtual"),
        ({"carriers": 1}, None, "trial.carriers, but .* has no settings.virtual"),
        ({"carriers": 1}, {"nodes": 8}, "trial.nodes is 1, but .*settings.virtual.nodes 8"),
        ({"carriers": 1}, 3, None),
    ],
)
def test_virtual_nodes_are_those_of_the_cluster(
    record: dict[str, Any], facts: dict[str, Any], virtual: Any, said: str | None, tmp_path: Path
) -> None:
    """A trial on virtual nodes could pass for one on real nodes, with which they are compared."""
    configured = load_record(packed().results / CONFIGURED)
    settings = configured["settings"] | ({} if virtual is None else {"virtual": virtual})
    path = tmp_path / CONFIGURED
    path.parent.mkdir(parents=True)
    write_json(path, configured | {"settings": settings})
    record["trial"] |= facts
    record["parents"]["configured"]["record"] = file_digest(path)
    found = chain_contradiction(record, tmp_path)
    if said is None:
        assert found is None
    else:
        assert found is not None and re.search(said, found), found


def test_a_cluster_that_was_made_anew_contradicts_nothing(
    record: dict[str, Any], tmp_path: Path
) -> None:
    record["conditions"]["declared"]["head"]["cpus"] = 99
    assert chain_contradiction(record, tmp_path) is None, "it is not there"
    configured = load_record(packed().results / CONFIGURED)
    (tmp_path / CONFIGURED).parent.mkdir(parents=True)
    write_json(tmp_path / CONFIGURED, configured | {"lineage": "another"})
    assert chain_contradiction(record, tmp_path) is None
    write_json(tmp_path / CONFIGURED, configured)
    assert "cpus is 99" in str(chain_contradiction(record, tmp_path))


def test_a_run_that_began_by_a_wrong_clock_is_no_contradiction(record: dict[str, Any]) -> None:
    record["conditions"]["campaign"] = "2026-09-22T15:45:00+00:00"
    assert record_contradiction(record) is None
