"""A cluster of one compute node that is given a virtual function (SR-IOV) of the host.

`make test-kvm NESTED=FOLDER` runs it: QEMU emulates the device and the IOMMU of the machine that it
runs on. `SCHEDLAB_TEST_PCI` is the function's address.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign import NEEDS_ROOT, ROOT, Campaign, changed, guests

CLUSTER, WORKLOAD = "slurm-n1", "burst"
FUNCTION = os.environ.get("SCHEDLAB_TEST_PCI", "")

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
    pytest.mark.skipif(not FUNCTION, reason="make test-kvm NESTED=FOLDER runs it: needs SR-IOV"),
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run with the function given to the compute node."""
    folder = tmp_path_factory.mktemp("passthrough") / "results"
    made = changed(
        ROOT / "config/tests/one-node.yaml",
        folder,
        placement={"oversubscribe": True, "pci": [FUNCTION]},
    )
    made.run()
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def test_the_function_is_given_to_the_compute_node(campaign: Campaign) -> None:
    record = campaign.results / "clusters" / CLUSTER / "provisioned" / "record.json"
    domains = json.loads(record.read_text())["realised"]["domain_xml"]
    assert "<hostdev" not in domains["head"]
    bus, slot, function = re.split("[:.]", FUNCTION)[1:]
    source = rf"<address domain='0x0000' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>"
    assert re.search(r"<hostdev[^>]*type='pci'", domains["compute1"])
    assert source in domains["compute1"]


def test_trials_boot_and_are_measured(campaign: Campaign) -> None:
    assert campaign.verdict(campaign.trial(CLUSTER, WORKLOAD)) == {"valid": True, "reasons": []}


def test_the_function_is_given_back(campaign: Campaign) -> None:
    assert guests() == []
    driver = Path("/sys/bus/pci/devices") / FUNCTION / "driver"
    assert not driver.exists() or driver.resolve().name != "vfio-pci"
