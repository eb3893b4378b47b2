"""The kernel's settings: the table, the script that reads them back, and what it finds wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from schedlab.errors import SchedlabError
from schedlab.stages import tuning


class Machine:
    """A node whose commands run here, with other values of some settings."""

    def __init__(self, printed: str | None = None) -> None:
        self._printed = printed

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        if self._printed is not None:
            return subprocess.CompletedProcess([], 0, self._printed, "")
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)


def test_every_setting_has_a_reason_and_a_source() -> None:
    table = tuning.settings()
    keys = [row["key"] for row in table]
    assert len(keys) == len(set(keys))
    for row in table:
        assert row["kind"] in tuning.KINDS
        assert row["reason"] and row["source"].startswith("https://")
        assert ("value" in row) == (row["kind"] != "recorded"), row["key"]
        assert all(isinstance(text, str) for text in row.values())


def test_what_a_machine_has_is_read(tmp_path: Path) -> None:
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    (tmp_path / "cpu0").write_text("performance\n")
    (tmp_path / "cpu1").write_text("powersave\n")
    asked = [
        {"kind": "sysctl", "key": "kernel.ostype"},
        {"kind": "sysctl", "key": "kernel.no_such_key"},
        {"kind": "file", "key": f"{tmp_path}/enabled"},
        {"kind": "file", "key": f"{tmp_path}/cpu*"},
        {"kind": "limit", "key": "NOFILE"},
        {"kind": "sysctl", "key": "net.ipv4.ip_local_port_range"},
    ]
    found = tuning.parse(Machine().run(tuning.script(asked)).stdout)
    assert found[0] == {"/proc/sys/kernel/ostype": "Linux"}
    assert 1 not in found, "a key that the kernel lacks has no value"
    assert found[2] == {f"{tmp_path}/enabled": "madvise"}
    assert set(found[3].values()) == {"performance", "powersave"}
    assert found[4]["sessions"].isdigit() or found[4]["sessions"] == "unlimited"
    assert len(found[5].popitem()[1].split()) == 2


def answers(**other: str) -> str:
    """What a node prints whose kernel is set as it was to be, except for some keys."""
    lines = []
    for number, row in enumerate(tuning.settings()):
        if row["kind"] == "recorded":
            continue
        value = other.get(row["key"].replace(".", "_"), row["value"])
        lines.append(f"{number}\tplace\t{value}")
        if row["kind"] == "limit":
            services = value.replace("unlimited", "infinity")
            lines.append(f"{number}\tservices\t{services}")
    return "\n".join(lines) + "\n"


def read(**nodes: str) -> list[dict[str, Any]]:
    made: Any = {name: Machine(printed) for name, printed in nodes.items()}
    return tuning.read_back(made)


def test_a_kernel_that_is_set_as_asked_passes_and_is_recorded() -> None:
    rows = read(head=answers(), compute1=answers(irqbalance_service="unknown"))
    by_key = {row["key"]: row for row in rows}
    assert by_key["vm.swappiness"]["found"] == {
        "head": {"place": "10"}, "compute1": {"place": "10"},
    }  # fmt: skip
    assert by_key["vm.swappiness"]["reason"]


def test_a_setting_that_a_guest_does_not_offer_is_no_failure() -> None:
    rows = read(head="")
    assert all(row["found"] == {"head": {}} for row in rows)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("vm_swappiness", "60", "vm.swappiness (place) is 60, 10 was to be set"),
        ("NOFILE", "1024", "NOFILE (services) is 1024, 65536 was to be set"),
        ("MEMLOCK", "8192", "MEMLOCK (services) is 8192, infinity was to be set"),
        ("irqbalance_service", "active", "is active, inactive was to be set"),
    ],
)
def test_another_value_fails_the_stage_and_names_node_key_and_value(
    key: str, value: str, said: str
) -> None:
    with pytest.raises(SchedlabError) as caught:
        read(head=answers(), compute1=answers(**{key: value}))
    assert f"compute1: {said}" in caught.value.message or said in caught.value.message
    assert "head:" not in caught.value.message
    assert "tuning.yml" in str(caught.value.remedy)
