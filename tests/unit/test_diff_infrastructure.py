"""Each kind of difference between machines and software is found; identities do not count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from diff_factory import (
    CLUSTER,
    CONFIGURED,
    EXPERIMENT,
    FLAGS,
    IMAGE,
    PROVISIONED,
    SLURM_CONF,
    changed,
    compare,
    domain,
    edited,
    load,
    make_results,
    realised,
    record_path,
)

from schedlab.diff.infrastructure import Change, Infrastructure
from schedlab.results.records import digest, write_json

TRIAL = f"trials/{CLUSTER}/burst/2"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("diff") / "a")


def test_another_run_of_the_same_is_no_difference(results: Path, tmp_path: Path) -> None:
    other = make_results(tmp_path / "b", identity="deadbeef", run="4242", vnet=5)
    found = compare(results, other)
    assert found == Infrastructure()
    # The two records do differ, in what belongs to one run.
    assert load(results, PROVISIONED)["realised"] != load(other, PROVISIONED)["realised"]


HEAD = f"{CONFIGURED}/head"
XML = domain("head")


@pytest.mark.parametrize(
    ("topic", "name", "edit", "change"),
    [
        (
            "packages",
            IMAGE,
            realised("packages", to=["linux-image-amd64=6.12.1-1", "slurmctld=24.11.6-1"]),
            Change((IMAGE,), "slurmctld", "24.11.5-4", "24.11.6-1"),
        ),
        (
            "packages",
            CONFIGURED,
            realised("packages", to=["linux-image-amd64=6.12.1-1"]),
            Change((CONFIGURED,), "slurmctld", "24.11.5-4", None),
        ),
        (
            "packages",
            CONFIGURED,
            realised(
                "packages",
                to=["linux-image-amd64=6.12.1-1", "slurmctld=24.11.5-4", "vim=9.1"],
            ),
            Change((CONFIGURED,), "vim", None, "9.1"),
        ),
        (
            "kernel",
            CONFIGURED,
            realised("nodes", "head", "kernel", to="6.12.9-amd64"),
            Change((HEAD,), "kernel", "6.12.1-amd64", "6.12.9-amd64"),
        ),
        (
            "kernel",
            CONFIGURED,
            realised("nodes", "head", "os", to="Debian GNU/Linux 12 (bookworm)"),
            Change((HEAD,), "os", "Debian GNU/Linux 13 (trixie)", "Debian GNU/Linux 12 (bookworm)"),
        ),
        (
            "kernel",
            CONFIGURED,
            realised(
                "tuning",
                to=[
                    {
                        "key": "vm.swappiness",
                        "found": {"head": {"a": "60"}, "compute1": {"a": "10"}},
                    }
                ],
            ),
            Change((HEAD,), "vm.swappiness", "10", "60"),
        ),
        (
            "kernel",
            CONFIGURED,
            realised("nodes", "head", "cmdline", to="BOOT_IMAGE=/boot/vmlinuz quiet nosmt"),
            Change(
                (HEAD,),
                "cmdline",
                "BOOT_IMAGE=/boot/vmlinuz root=UUID=[uuid] quiet",
                "BOOT_IMAGE=/boot/vmlinuz quiet nosmt",
            ),
        ),
        (
            "processor",
            CONFIGURED,
            realised("nodes", "head", "lscpu", to={"Model name": "EPYC", "Flags": FLAGS}),
            Change((HEAD,), "Model name", "QEMU TCG", "EPYC"),
        ),
        (
            "processor",
            CONFIGURED,
            realised(
                "nodes",
                "head",
                "lscpu",
                to={"Model name": "QEMU TCG", "Flags": "avx avx2 fpu sse2"},
            ),
            Change((HEAD,), "Flags", "only here: sse", "only here: avx2"),
        ),
        (
            "domain",
            PROVISIONED,
            realised("domain_xml", "head", to=XML.replace("cache='unsafe'", "cache='none'")),
            Change((f"{PROVISIONED}/head",), "devices/disk[vda]/driver@cache", "unsafe", "none"),
        ),
        (
            "domain",
            PROVISIONED,
            realised(
                "domain_xml",
                "head",
                to=XML.replace("<vcpupin vcpu='0' cpuset='0'/>", ""),
            ),
            Change((f"{PROVISIONED}/head",), "cputune/vcpupin[0]@cpuset", "0", None),
        ),
        (
            "terraform",
            PROVISIONED,
            realised("terraform_outputs", "network", "value", "cidr", to="10.1.0.0/24"),
            Change((PROVISIONED,), "network.cidr", "10.0.100.0/24", "10.1.0.0/24"),
        ),
        (
            "tools",
            CONFIGURED,
            changed("tools", to={"ansible-core": "2.20.0"}),
            Change((CONFIGURED,), "ansible-core", "2.19.2", "2.20.0"),
        ),
        (
            "tools",
            "toolchain",
            changed("tools", "terraform", "program", to="terraform"),
            Change(("toolchain",), "terraform", "tofu 1.12.6", "1.12.6"),
        ),
        (
            "tools",
            TRIAL,
            changed("tools", to={"prometheus": "3.5.0"}),
            Change((f"trials/{CLUSTER}",), "prometheus", "2.53.3", "2.53.3; 3.5.0"),
        ),
        (
            "host",
            "accelerator",
            lambda record: (
                changed("accelerator", "accelerator", to="kvm")(record),
                # Otherwise the trials, which say tcg, would contradict it.
                changed("lineage", to=digest("another"))(record),
            ),
            Change(("accelerator",), "accelerator", "tcg", "kvm"),
        ),
        (
            "host",
            PROVISIONED,
            realised("qemu", "user", to="libvirt-qemu"),
            Change((PROVISIONED,), "user of QEMU", "root", "libvirt-qemu"),
        ),
        (
            "host",
            TRIAL,
            changed("conditions", "host", "cores", to=64),
            Change((f"trials/{CLUSTER}",), "host cores", "2", "2; 64"),
        ),
        (
            "experiment",
            CONFIGURED,
            changed("settings", "node", "vcpus", to=4),
            Change((CONFIGURED,), "node.vcpus", "2", "4"),
        ),
        (
            "source",
            CONFIGURED,
            changed("source", "commit", to="f" * 40),
            None,
        ),
        (
            "source",
            CONFIGURED,
            changed("inputs", to={"workflow/schedlab/stages/configure.py": "e" * 64}),
            None,
        ),
    ],
)
def test_each_difference_is_found_alone(
    results: Path,
    tmp_path: Path,
    topic: str,
    name: str,
    edit: Callable[[dict[str, Any]], None],
    change: Change | None,
) -> None:
    other = edited(results, tmp_path / "b", name, edit)
    found = compare(results, other)
    assert list(found.changes) == [topic] and not found.texts
    (only,) = found.changes[topic]
    if change:
        assert only == change
    back = compare(other, results).changes[topic][0]
    assert (back.a, back.b) == (only.b, only.a)


def test_a_commit_names_its_uncommitted_changes(results: Path, tmp_path: Path) -> None:
    dirty = {"dirty": True, "diff": "d" * 64, "commit": load(results, IMAGE)["source"]["commit"]}
    other = edited(results, tmp_path / "b", IMAGE, changed("source", to=dirty))
    (change,) = compare(results, other).changes["source"]
    assert (change.key, change.b) == ("commit", f"{change.a} with changes {'d' * 12}")


def test_equal_changes_of_several_places_are_one(results: Path, tmp_path: Path) -> None:
    new = ["linux-image-amd64=6.12.1-1", "slurmctld=24.11.6-1"]
    other = edited(results, tmp_path / "b", IMAGE, realised("packages", to=new))
    for name in (PROVISIONED, CONFIGURED):
        record = load(other, name)
        record["realised"]["packages"] = new
        write_json(record_path(other, name), record)
    (change,) = compare(results, other).changes["packages"]
    assert change == Change((CONFIGURED, PROVISIONED, IMAGE), "slurmctld", "24.11.5-4", "24.11.6-1")


def test_configuration_is_a_unified_diff(results: Path, tmp_path: Path) -> None:
    text = SLURM_CONF.replace("backfill", "builtin")
    other = edited(
        results,
        tmp_path / "b",
        CONFIGURED,
        realised("configuration", "slurm.conf", to=text),
    )
    found = compare(results, other)
    (change,) = found.texts
    assert found.changes == {} and found.differs
    assert (change.places, change.name) == ((CONFIGURED,), "slurm.conf")
    assert change.lines[:2] == ("--- A/slurm.conf", "+++ B/slurm.conf")
    assert "-SchedulerType=sched/backfill" in change.lines
    assert "+SchedulerType=sched/builtin" in change.lines
    assert sum(line[0] in "+-" for line in change.lines[2:]) == 2


def test_a_configuration_file_of_one_side(results: Path, tmp_path: Path) -> None:
    other = edited(results, tmp_path / "b", CONFIGURED, realised("configuration", to={}))
    (change,) = compare(results, other).texts
    assert change.lines[:2] == ("--- A/slurm.conf", "+++ /dev/null")


def test_a_stage_of_one_side_is_named_and_not_compared(results: Path, tmp_path: Path) -> None:
    def rename(record: dict[str, Any]) -> None:
        record["id"] = "slurm-n9/configured"

    other = edited(results, tmp_path / "b", CONFIGURED, rename)
    extra = "clusters/slurm-n9/configured"
    write_json(record_path(other, extra), load(other, CONFIGURED))
    found = compare(results, other)
    assert found.changes == {"presence": [Change((), extra, None, "present")]}
    assert found.texts == []


def test_tools_known_to_one_side_only_are_no_difference(results: Path, tmp_path: Path) -> None:
    # The record of a base disk from the cache does not say which tools built it.
    base = "images/slurm/base"
    other = edited(results, tmp_path / "b", base, changed("tools", to={"mmdebstrap": "1.5.7"}))
    assert not compare(results, other).differs


def test_keys_of_the_experiment_that_no_record_has(results: Path, tmp_path: Path) -> None:
    other = make_results(tmp_path / "b")
    content = EXPERIMENT.model_dump(mode="json")
    content["limits"]["trial"] = 90
    # The records say where it ran; a bundle's experiment file does not.
    content["libvirt"]["uri"] = "embedded"
    content["workloads"][0]["jobs"] = 99
    (other / "experiments.yaml").write_text(yaml.safe_dump(content))
    found = compare(results, other)
    assert found.notes == []
    assert found.changes == {
        "experiment": [
            Change((), "limits.trial", "600", "90"),
            Change((), "workloads.burst.jobs", "12", "99"),
        ]
    }
