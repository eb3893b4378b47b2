"""Domain XML and other values without what belongs to one run only."""

from __future__ import annotations

import pytest
from diff_factory import CLUSTER, domain

from schedlab.diff.domain import domain_facts
from schedlab.diff.normalise import flatten, without_run_names


def test_xml_becomes_one_entry_for_each_attribute_and_text() -> None:
    found = domain_facts(domain("head"), "head")
    assert found["name"] == f"schedlab-*-{CLUSTER}-head"
    assert found["vcpu"] == "2" and found["features/acpi"] == "present"
    assert found["devices/disk[vda]/source@file"] == ".../head.qcow2"
    assert found["devices/disk[vda]/backingStore/source@file"] == ".../disk.qcow2"
    assert found["devices/emulator"] == "/usr/bin/qemu-system-x86_64"
    assert found["devices/interface/mac@address"] == "[mac]"
    assert found["metadata/schedlab@node"] == "head"
    assert not [key for key in found if "uuid" in key or "alias" in key or "seclabel" in key]


def test_siblings_without_an_identity_go_by_position() -> None:
    found = domain_facts("<domain><rng model='a'/><rng model='b'/></domain>", "x")
    assert found == {"rng[1]@model": "a", "rng[2]@model": "b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/var/tmp/scratch/pool/head.qcow2", ".../head.qcow2"),
        ("[path]/head.qcow2", ".../head.qcow2"),
        ("$SCRATCH/pool/head.qcow2", ".../head.qcow2"),
        ("/usr/share/x.rom", "/usr/share/x.rom"),
        ("schedlab-0a1b2c3d-slurm-n1", "schedlab-*-slurm-n1"),
        ("mac 52:54:0A:1b:2c:3d", "mac [mac]"),
        ("2026-01-01 10.0.100.10", "2026-01-01 10.0.100.10"),
    ],
)
def test_identities_are_taken_out(text: str, expected: str) -> None:
    assert without_run_names(text) == expected


def test_nested_data_becomes_dotted_keys() -> None:
    data = {"node": {"vcpus": 2, "run": 7}, "nodes": [1, 2], "of": [{"name": "a", "n": None}, [3]]}
    assert dict(flatten(data)) == {
        "node.vcpus": "2",
        "nodes": "[1, 2]",
        "of.a.n": "null",
        "of.1": "[3]",
    }
