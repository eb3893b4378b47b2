"""What the Terraform module's templates write: XML for libvirt, data for cloud-init."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from terraform_module import (
    HERE,
    KEY,
    MODULE,
    terraform_program,
)

from schedlab.testbed.readback import compare_domain

pytestmark = pytest.mark.infrastructure


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def render(folder: Path, template: str, values: dict[str, Any]) -> str:
    """Render a template of the module as Terraform does, without a provider."""
    folder.mkdir()
    call = f'${{templatefile("{MODULE}/templates/{template}", var.values)}}'
    configuration = {"variable": {"values": {"type": "any"}}, "output": {"text": {"value": call}}}
    (folder / "main.tf.json").write_text(json.dumps(configuration))
    (folder / "terraform.tfvars.json").write_text(json.dumps({"values": values}))
    for words in (["apply", "-auto-approve", "-input=false"], ["output", "-raw", "text"]):
        done = subprocess.run(
            [terraform_program(), f"-chdir={folder}", *words],
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout


def transform(stylesheet: str, document: str, folder: Path) -> str:
    """Apply a stylesheet with the options that the provider uses."""
    (folder / "x.xslt").write_text(stylesheet)
    (folder / "x.xml").write_text(document)
    command = [need("xsltproc"), "--nomkdir", "--nonet", "--nowrite"]
    return subprocess.run(
        [*command, str(folder / "x.xslt"), str(folder / "x.xml")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def accepted_by_libvirt(document: str) -> str:
    """Define a domain on libvirt's test driver, schema check included; return libvirt's view."""
    libvirt = pytest.importorskip("libvirt")
    connection = libvirt.open("test:///default")
    domain = connection.defineXMLFlags(document, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    try:
        return str(domain.XMLDesc())
    finally:
        domain.undefine()
        connection.close()


DECLARED: dict[str, Any] = {
    "domain": "schedlab-0a1b2c3d-slurm-n1-compute1",
    "domain_type": "kvm",
    "machine": "q35",
    "cpu_mode": "host-passthrough",
    "vcpus": 2,
    "memory_mib": 768,
    "vcpu_pins": [],
    "emulator_pins": None,
    "numa_nodes": None,
    "hugepages": False,
    "pci": [],
    "mac": "52:54:0a:1b:2c:3d",
    "network": "schedlab-0a1b2c3d-slurm-n1",
    "console": "/scratch/<console> & logs/compute1.log",
    "metadata": {"run": "r1", "checkout": "0a1b2c3d", "cluster": "slurm-n1", "node": "compute1"},
}


@pytest.mark.parametrize(
    "placement",
    [
        {},
        {"vcpu_pins": ["2", "3,5-6"]},
        {"vcpu_pins": ["2", "3"], "emulator_pins": "0-1"},
        {"numa_nodes": "0"},
        {"hugepages": True},
        {"pci": ["0000:03:10.2", "0000:1a:1f.7"]},
        {
            "vcpu_pins": ["2", "3"],
            "emulator_pins": "4",
            "numa_nodes": "0-1",
            "hugepages": True,
            "pci": ["0000:03:00.0"],
        },
    ],
    ids=["plain", "pins", "emulator", "numa", "hugepages", "pci", "all"],
)
def test_domain_xml(tmp_path: Path, placement: dict[str, Any]) -> None:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    declared = DECLARED | placement
    addresses = [address.replace(".", ":").split(":") for address in declared["pci"]]
    stylesheet = render(
        tmp_path / "w",
        "domain.xslt.tftpl",
        {
            **declared["metadata"],
            "vcpus": 2,
            "vcpu_pins": declared["vcpu_pins"],
            "emulator": declared["emulator_pins"],
            "numa": declared["numa_nodes"],
            "hugepages": declared["hugepages"],
            "pci": [
                dict(zip(("domain", "bus", "slot", "function"), a, strict=True)) for a in addresses
            ],
            "disk_cache": "none",
            "disk_path": "/scratch/pool/compute1.qcow2",
            "seed_path": "/scratch/pool/compute1-seed.iso",
            "console_log": escaped(declared["console"]),
        },
    )
    document = transform(stylesheet, (HERE / "data/provider-domain.xml").read_text(), tmp_path)
    live = accepted_by_libvirt(document)
    assert compare_domain(declared, live) == []

    domain = ElementTree.fromstring(live)
    disks = domain.findall("./devices/disk")
    assert [disk.get("type") for disk in disks] == ["file", "file"]
    assert [disk.find("./readonly") is not None for disk in disks] == [False, True]
    assert disks[0].find("./driver").get("cache") == "none"  # type: ignore[union-attr]
    assert domain.find("./cpu/topology").get("cores") == "2"  # type: ignore[union-attr]
    assert domain.find("./devices/rng") is not None
    for absent in ("graphics", "video", "channel"):
        assert domain.find(f"./devices/{absent}") is None, absent


@pytest.mark.parametrize("sized", [True, False])
def test_volume_xml(tmp_path: Path, sized: bool) -> None:
    values = {"base_image": "/images/a &amp; b.qcow2", "sized": sized}
    stylesheet = render(tmp_path / "w", "volume.xslt.tftpl", values)
    before = (
        "<volume><name>head.qcow2</name><capacity unit='bytes'>1073741824</capacity>"
        "<target><format type='qcow2'/><permissions><mode>644</mode></permissions></target>"
        "</volume>"
    )
    volume = ElementTree.fromstring(transform(stylesheet, before, tmp_path))
    assert volume.findtext("./backingStore/path") == "/images/a & b.qcow2"
    assert (volume.findtext("./capacity") is not None) == sized
    assert volume.findtext("./target/compat") == "1.1"


@pytest.mark.parametrize("grow", [True, False])
def test_user_data(tmp_path: Path, grow: bool) -> None:
    hosts = [
        {"address": "10.0.100.11", "fqdn": "compute1.benchmark.local", "name": "compute1"},
        {"address": "10.0.100.10", "fqdn": "head.benchmark.local", "name": "head"},
    ]
    text = render(
        tmp_path / "w",
        "user-data.yaml.tftpl",
        {
            "name": "head",
            "fqdn": "head.benchmark.local",
            "hosts": hosts,
            "ssh_public_key": KEY + ": #1",
            "grow": grow,
        },
    )
    assert text.startswith("#cloud-config\n")
    data = yaml.safe_load(text)
    assert data["hostname"] == "head"
    assert data["users"][0]["name"] == "bench"
    assert data["users"][0]["ssh_authorized_keys"] == [KEY + ": #1"]
    assert data["growpart"]["mode"] == ("auto" if grow else "off")
    assert data["resize_rootfs"] is grow
    assert data["package_update"] is False
    assert data["write_files"][0]["content"].splitlines() == [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "10.0.100.11 compute1.benchmark.local compute1",
        "10.0.100.10 head.benchmark.local head",
    ]
    assert "ntp" not in data
