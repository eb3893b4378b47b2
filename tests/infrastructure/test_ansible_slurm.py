"""Slurm's role: slurm.conf, virtual nodes and their start, the API."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from rendering import ANSIBLE, VIRTUAL, rendered

pytestmark = pytest.mark.infrastructure


def test_slurm_conf_describes_the_cluster() -> None:
    lines = rendered("slurm", "slurm.conf.j2", "head").splitlines()
    assert "ClusterName=slurm-n2" in lines
    assert "SlurmctldHost=head(10.0.100.10)" in lines
    assert "LogTimeFormat=iso8601_ms" in lines
    assert any(re.match(r"NodeName=compute2 NodeAddr=10\.0\.100\.12 CPUs=2 ", x) for x in lines)
    assert any(x.startswith("PartitionName=main Nodes=compute1,compute2 ") for x in lines)
    tiers = [int(x.rpartition("PriorityTier=")[2]) for x in lines if x.startswith("Partition")]
    assert len(tiers) == len(set(tiers)) == 3
    assert sum("Default=YES" in x for x in lines) == 1
    own = ("#", "NodeName", "PartitionName")
    keys = [x.partition("=")[0].lower() for x in lines if x and not x.startswith(own)]
    assert len(keys) == len(set(keys))


def test_slurm_conf_describes_virtual_nodes() -> None:
    text = rendered("slurm", "slurm.conf.j2", "head", slurm_virtual=VIRTUAL)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("NodeName=")] == [
        "NodeName=compute[1,3,5] NodeHostname=compute1 NodeAddr=10.0.100.11 Port=[10000-10002]"
        " CPUs=64 RealMemory=800 State=UNKNOWN",
        "NodeName=compute[2] NodeHostname=compute2 NodeAddr=10.0.100.12 Port=10000"
        " CPUs=64 RealMemory=800 State=UNKNOWN",
    ]
    assert "SlurmdParameters=config_overrides" in lines
    # The daemons of a carrier share no folder and no file.
    own = [line for line in lines if line.startswith(("SlurmdSpool", "SlurmdLog", "SlurmdPid"))]
    assert len(own) == 3
    assert all("%n" in line for line in own)
    assert any(line.startswith("PartitionName=main Nodes=ALL ") for line in lines)
    others = ("#", "NodeName", "PartitionName")
    keys = [x.partition("=")[0].lower() for x in lines if x and not x.startswith(others)]
    assert len(keys) == len(set(keys))


def test_no_connection_can_have_the_port_of_a_virtual_nodes_daemon() -> None:
    """A slurmd whose port a connection has just taken does not start (seen: 2 of 1,024)."""
    defaults = yaml.safe_load((ANSIBLE / "roles/slurm/defaults/main.yml").read_text())
    tuning = yaml.safe_load((ANSIBLE / "roles/common/vars/tuning.yml").read_text())
    (ports,) = (
        line["value"] for line in tuning["common_tuning"] if "ip_local_port_range" in line["key"]
    )
    assert defaults["slurm_virtual_port"] + 5000 <= int(ports.split()[0])


def test_a_carrier_starts_the_daemons_of_its_own_nodes() -> None:
    unit = rendered("slurm", "schedlab-slurmds.service.j2", "compute1", slurm_virtual=VIRTUAL)
    lines = unit.splitlines()
    assert "ExecStart=/usr/local/sbin/schedlab-slurmds compute[1,3,5]" in lines
    # Its program ends when all daemons run; they stay, and end with it.
    assert {"Type=oneshot", "RemainAfterExit=yes"} < set(lines)
    assert not any(line.startswith("KillMode=") for line in lines)


def test_daemons_of_virtual_nodes_are_told_the_shape_of_their_node() -> None:
    """Else hwloc reads that of the carrier from /sys, once for each job."""
    unit = rendered(
        "slurm", "schedlab-slurmds.service.j2", "compute1", slurm_virtual=VIRTUAL | {"cpus": 7}
    )
    assert 'Environment="HWLOC_SYNTHETIC=pack:1 core:7 pu:1"' in unit.splitlines()


STUBS = {
    "scontrol": 'shift 2; for n in $(echo "$1" | tr -d "compute[]" | tr , " "); do echo compute$n;'
    " done",
    # Every node is idle once it was started, but compute3 only once it was started twice.
    "sinfo": "for a; do case $a in --nodes=*) list=${a#--nodes=};; esac; done;"
    # It is in two partitions, and has a line for each.
    ' for n in $(echo "$list" | tr , " "); do if [ -e "$STATE/$n" ]; then echo "$n idle";'
    ' echo "$n idle";'
    ' else echo "$n $LOST"; fi; done',
    "slurmd": 'echo "$3" >> "$STATE/calls"; case $3 in compute3)'
    ' [ $COMES = yes ] && [ "$(grep -cx compute3 "$STATE/calls")" -ge 2 ] && touch "$STATE/$3";;'
    ' *) touch "$STATE/$3";; esac; true',
    # Daemons that start in the background have their time.
    "sleep": "exec /bin/sleep 0.02",
}


@pytest.mark.parametrize("lost", ["unknown", "idle*", "down"])
@pytest.mark.parametrize("comes", ["yes", "no"])
def test_a_virtual_node_that_does_not_register_is_started_again(
    tmp_path: Path, comes: str, lost: str
) -> None:
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    state = tmp_path / "state"
    state.mkdir()

    program = (ANSIBLE / "roles/slurm/files/schedlab-slurmds").read_text()
    (tmp_path / "start").write_text(program.replace("/usr/sbin/slurmd", "slurmd"))
    search = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    groups = tmp_path / "groups"
    done = subprocess.run(
        ["sh", str(tmp_path / "start"), f"compute[{','.join(map(str, range(1, 20)))}]"],
        env=os.environ
        | {"PATH": search, "STATE": str(state), "COMES": comes, "LOST": lost}
        | {"SCHEDLAB_GROUPS": str(groups)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    begun = (state / "calls").read_text().splitlines()
    # In a group of its own; the groups share the processors.
    assert {path.name for path in groups.iterdir() if path.is_dir()} == {"starter", *begun}
    assert all((groups / node / "cgroup.procs").read_text() == "0\n" for node in begun)
    assert (groups / "cgroup.subtree_control").read_text() == "+cpu\n"
    if comes == "yes":
        assert (done.returncode, done.stderr) == (0, "")
        # A batch is complete before the next begins.
        assert sorted(begun[:16]) == sorted(f"compute{n}" for n in range(1, 17))
        assert begun[16] == "compute3"
        assert sorted(begun[17:]) == ["compute17", "compute18", "compute19"]
    else:
        assert done.returncode == 1
        assert "the controller cannot use compute3 though each was started 6 times" in done.stderr
        assert begun.count("compute3") == 6
        assert len(begun) == 16 + 5


def test_slurms_api_has_room_for_every_submission_and_listens_where_the_driver_looks() -> None:
    """Connections are kept, so a connection over slurmrestd's limit would wait for ever."""
    from schedlab.schedulers.slurm.submission import RECORD, SERVER
    from schedlab.stages.submitting import MOST_SUBMISSIONS

    role = ANSIBLE / "roles/slurm"
    unit = (role / "templates/slurmrestd.service.j2").read_text()
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = start.split()
    assert words[-1] == SERVER["url"]
    assert int(words[words.index("--max-connections") + 1]) > MOST_SUBMISSIONS
    tasks = yaml.safe_load((role / "tasks/head.yml").read_text())
    assert tasks[-1]["ansible.builtin.copy"]["dest"] == RECORD


def test_no_key_of_slurm_conf_can_be_written_twice() -> None:
    """A key is in the template and reserved, or is a default that experiments may override."""
    from schedlab.schedulers.slurm.adapter import Slurm
    from schedlab.schedulers.slurm.refused import OWN

    template = (ANSIBLE / "roles/slurm/templates/slurm.conf.j2").read_text()
    written = set(re.findall(r"^([A-Za-z]+)=", template, re.M))
    assert written <= set(OWN)
    assert not written & set(Slurm.native_settings)
