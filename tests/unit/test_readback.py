"""Declared against realised: live domain XML and thread affinities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schedlab.errors import SchedlabError
from schedlab.testbed.readback import (
    NodeMismatch,
    compare_domain,
    compare_threads,
    read_domain,
    require_declared,
    thread_affinities,
)

DECLARED: dict[str, Any] = {
    "domain": "schedlab-0a1b2c3d-slurm-n1-compute1",
    "domain_type": "kvm",
    "machine": "q35",
    "cpu_mode": "host-passthrough",
    "vcpus": 2,
    "memory_mib": 768,
    "vcpu_pins": ["2", "3"],
    "emulator_pins": "0-1",
    "numa_nodes": "1",
    "hugepages": True,
    "pci": ["0000:03:10.2"],
    "mac": "52:54:0a:1b:2c:3d",
    "network": "schedlab-0a1b2c3d-slurm-n1",
    "console": "/scratch/console/compute1.log",
    "metadata": {"run": "r1", "checkout": "0a1b2c3d", "cluster": "slurm-n1", "node": "compute1"},
}

# As libvirt 9.0 prints it, without the parts that are not read.
LIVE = """
<domain type='kvm' id='1'>
  <name>schedlab-0a1b2c3d-slurm-n1-compute1</name>
  <metadata>
    <schedlab:schedlab xmlns:schedlab="https://schedlab.dev/libvirt/1" run="r1"
      checkout="0a1b2c3d" cluster="slurm-n1" node="compute1"/>
  </metadata>
  <memory unit='KiB'>786432</memory>
  <memoryBacking><hugepages/></memoryBacking>
  <vcpu placement='static'>2</vcpu>
  <cputune>
    <vcpupin vcpu='1' cpuset='3'/>
    <vcpupin vcpu='0' cpuset='2'/>
    <emulatorpin cpuset='0,1'/>
  </cputune>
  <numatune><memory mode='strict' nodeset='1'/></numatune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <devices>
    <disk type='file' device='disk'><source file='/scratch/pool/compute1.qcow2'/>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><source file='/scratch/pool/compute1-seed.iso'/>
      <target dev='vdb' bus='virtio'/><readonly/></disk>
    <interface type='network'>
      <mac address='52:54:0a:1b:2c:3d'/>
      <source network='schedlab-0a1b2c3d-slurm-n1' portid='x' bridge='virbr0'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'><source path='/scratch/console/compute1.log' append='on'/></serial>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x0000' bus='0x03' slot='0x10' function='0x2'/></source>
      <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>
    </hostdev>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def test_everything_as_declared() -> None:
    assert compare_domain(DECLARED, LIVE) == []


@pytest.mark.parametrize(
    ("old", "new", "mismatch"),
    [
        ("<domain type='kvm'", "<domain type='qemu'", ("domain_type", "kvm", "qemu")),
        ("pc-q35-7.2", "pc-i440fx-7.2", ("machine", "q35", "pc-i440fx-7.2")),
        # The provider's issue 1344: host-passthrough became a named model.
        (
            "<cpu mode='host-passthrough' check='none' migratable='on'/>",
            "<cpu mode='custom'><model>qemu64</model></cpu>",
            ("cpu_mode", "host-passthrough", "custom"),
        ),
        ("<vcpu placement='static'>2<", "<vcpu placement='static'>1<", ("vcpus", 2, 1)),
        ("786432", "524288", ("memory_mib", 768, 512)),
        ("cpuset='3'", "cpuset='2-3'", ("vcpu_pins", ["2", "3"], ["2", "2-3"])),
        ("<emulatorpin cpuset='0,1'/>", "", ("emulator_pins", "0-1", None)),
        ("mode='strict'", "mode='preferred'", ("numa_nodes", "1", None)),
        ("nodeset='1'", "nodeset='0'", ("numa_nodes", "1", "0")),
        ("<hugepages/>", "", ("hugepages", True, False)),
        ("slot='0x10'", "slot='0x11'", ("pci", ["0000:03:10.2"], ["0000:03:11.2"])),
        (
            "52:54:0a:1b:2c:3d",
            "52:54:00:00:00:01",
            ("mac", "52:54:0a:1b:2c:3d", "52:54:00:00:00:01"),
        ),
        (
            "network='schedlab-0a1b2c3d-slurm-n1'",
            "network='default'",
            ("network", "schedlab-0a1b2c3d-slurm-n1", "default"),
        ),
        ("<model type='virtio'/>", "<model type='e1000'/>", ("interface_model", "virtio", "e1000")),
        (
            "<target dev='vdb' bus='virtio'/>",
            "<target dev='sda' bus='sata'/>",
            (
                "disk_buses",
                {"vda": "virtio", "vdb": "virtio"},
                {"vda": "virtio", "sda": "sata"},
            ),
        ),
        ("<serial type='file'>", "<serial type='pty'>", ("console", DECLARED["console"], None)),
        (
            "<memballoon model='none'/>",
            "<memballoon model='virtio'/>",
            ("balloon", "none", "virtio"),
        ),
        (
            'node="compute1"',
            'node="compute2"',
            ("metadata", DECLARED["metadata"], DECLARED["metadata"] | {"node": "compute2"}),
        ),
    ],
)
def test_each_difference_is_found(old: str, new: str, mismatch: tuple[str, Any, Any]) -> None:
    assert old in LIVE
    assert compare_domain(DECLARED, LIVE.replace(old, new)) == [NodeMismatch(*mismatch)]


def test_pins_that_were_not_asked_for_are_a_difference() -> None:
    found = compare_domain(DECLARED | {"vcpu_pins": [], "emulator_pins": None}, LIVE)
    assert [mismatch.field for mismatch in found] == ["vcpu_pins", "emulator_pins"]


def test_memory_units() -> None:
    for text in ("<memory unit='MiB'>768<", "<memory unit='b'>805306368<", "<memory>786432<"):
        assert read_domain(LIVE.replace("<memory unit='KiB'>786432<", text))["memory_mib"] == 768


def write_process(
    proc: Path, pid: int, tasks: dict[int, tuple[str, str]], huge_kib: int = 0
) -> None:
    for task, (name, allowed) in tasks.items():
        folder = proc / str(pid) / "task" / str(task)
        folder.mkdir(parents=True)
        (folder / "comm").write_text(name + "\n")
        (folder / "status").write_text(
            f"Name:\t{name}\nHugetlbPages:\t{huge_kib:8d} kB\n"
            f"Cpus_allowed:\tf\nCpus_allowed_list:\t{allowed}\nMems_allowed_list:\t0\n"
        )


TASKS = {
    70: ("qemu-system-x86", "0-1"),
    71: ("worker", "0-1"),
    72: ("CPU 0/KVM", "2"),
    73: ("CPU 1/KVM", "3"),
}


def test_thread_affinities(tmp_path: Path) -> None:
    write_process(tmp_path, 70, TASKS)
    assert thread_affinities(70, tmp_path) == {0: frozenset({2}), 1: frozenset({3})}
    write_process(tmp_path, 80, {80: ("qemu-system-x86", "0-3"), 81: ("CPU 10/TCG", "0,2-3")})
    assert thread_affinities(80, tmp_path) == {10: frozenset({0, 2, 3})}
    with pytest.raises(SchedlabError, match="process 90"):
        thread_affinities(90, tmp_path)


def test_threads_as_declared(tmp_path: Path) -> None:
    write_process(tmp_path, 70, TASKS, huge_kib=800 * 1024)
    assert compare_threads(DECLARED, 70, tmp_path) == []


def test_threads_not_as_declared(tmp_path: Path) -> None:
    tasks = {70: ("qemu-system-x86", "0-3"), 72: ("CPU 0/KVM", "0-3")}
    write_process(tmp_path, 70, tasks)
    assert compare_threads(DECLARED, 70, tmp_path) == [
        NodeMismatch("affinity of vCPU 0", "2", "0-3"),
        NodeMismatch("affinity of vCPU 1", "3", "no such thread"),
        NodeMismatch("affinity of the emulator", "0-1", "0-3"),
        NodeMismatch("MiB in huge pages", 768, 0),
    ]


def test_unpinned_threads_are_not_compared(tmp_path: Path) -> None:
    unpinned = DECLARED | {"vcpu_pins": [], "emulator_pins": None, "hugepages": False}
    assert compare_threads(unpinned, 70, tmp_path) == []


def test_failure_lists_every_difference_of_every_node() -> None:
    require_declared({"head": [], "compute1": []})
    with pytest.raises(SchedlabError) as caught:
        require_declared(
            {
                "head": [NodeMismatch("vcpus", 2, 1)],
                "compute1": [NodeMismatch("hugepages", True, False)],
            }
        )
    assert "head: vcpus: declared 2, found 1" in str(caught.value)
    assert "compute1: hugepages: declared True, found False" in str(caught.value)
    assert caught.value.stage == "provision"
    assert caught.value.remedy
