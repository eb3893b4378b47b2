"""Words about wrong keys: those of their own section are offered, at any depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_factory import refusal

BURST = {"name": "b", "kind": "burst"}


def mix(**part: Any) -> dict[str, Any]:
    return {"workloads": [{"name": "m", "kind": "mix", "parts": [part]}]}


def saturate(**keys: Any) -> dict[str, Any]:
    inner = {"kind": "poisson", "jobs": 100}
    content = {"name": "s", "kind": "saturate", "workload": inner, "rate": {"low": 1, "high": 9}}
    return {"workloads": [content | keys]}


@pytest.mark.parametrize(
    ("keys", "place", "remedy"),
    [
        ({"virtual": {"carriers": 2, "carier": {}}}, "virtual.carier", "did you mean carrier?"),
        (
            {"virtual": {"carriers": 2, "carrier": {"memry": "1 GiB"}}},
            "virtual.carrier.memry",
            "did you mean memory?",
        ),
        (
            {"schedulers": [{"name": "slurm", "virtual": {"carriers": 2, "margn": "5 %"}}]},
            "schedulers[0].virtual.margn",
            "did you mean margin?",
        ),
        (
            {"workloads": [BURST | {"background": {"filled": "5 %", "pendng": 3}}]},
            "workloads[0].background.pendng",
            "did you mean pending?",
        ),
        (
            saturate(rate={"low": 1, "high": 9, "hihg": 3}),
            "workloads[0].rate.hihg",
            "did you mean high?",
        ),
        (
            saturate(workload={"kind": "poisson", "runtme": 3.0}),
            "workloads[0].workload.runtme",
            "did you mean runtime?",
        ),
        (
            mix(user="a", shre=2.0, workload={"kind": "burst"}),
            "workloads[0].parts[0].shre",
            "did you mean share?",
        ),
        (
            mix(user="a", workload={"kind": "burst", "jbs": 3}),
            "workloads[0].parts[0].workload.jbs",
            "did you mean jobs?",
        ),
        ({"placement": {"pin": "none"}}, "placement.pin", "did you mean pinning?"),
        ({"repetitions": {"min": 3, "max": 5, "untl": "5 %"}}, "repetitions.untl", "until?"),
        ({"image": {"kind": "mmdebstrap", "sute": "trixie"}}, "image.sute", "did you mean suite?"),
    ],
)
def test_keys_of_the_section_itself_are_offered(
    tmp_path: Path, keys: dict[str, Any], place: str, remedy: str
) -> None:
    lines = [line for line in refusal(tmp_path, **keys) if f"{place} =" in line]
    assert len(lines) == 1, refusal(tmp_path, **keys)
    assert "unknown key" in lines[0] and remedy in lines[0]


def test_a_part_without_a_user_has_no_second_fault(tmp_path: Path) -> None:
    lines = refusal(tmp_path, **mix(usr="a", workload={"kind": "burst"}))
    assert not [line for line in lines if "workload.name" in line], lines


def test_a_priority_that_a_scheduler_does_not_have_is_told_at_its_part(tmp_path: Path) -> None:
    parts = [
        {"user": "a", "workload": {"kind": "burst", "jobs": 2}},
        {"user": "b", "priority": 5, "workload": {"kind": "burst", "jobs": 2}},
    ]
    text = "\n".join(refusal(tmp_path, workloads=[{"name": "m", "kind": "mix", "parts": parts}]))
    assert "workloads[0].parts[1].priority = 5: " in text
    assert "Part(" not in text


@pytest.mark.parametrize(
    ("keys", "place", "known"),
    [
        ({"image": {"url": "https://a/b"}}, "image", "mmdebstrap, cloud"),
        ({"workloads": [{"name": "b"}]}, "workloads[0]", "gang, lublin, mix, poisson"),
        (mix(user="a", workload={}), "workloads[0].parts[0].workload", "gang, lublin, poisson"),
    ],
)
def test_a_section_without_its_kind_is_told_all_kinds(
    keys: dict[str, Any], place: str, known: str, tmp_path: Path
) -> None:
    found = "\n".join(refusal(tmp_path, **keys))
    assert f"{place}.kind = null: missing" in found
    assert known in found
