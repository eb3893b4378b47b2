"""KWOK's virtual nodes: its options and stages, as the role writes them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from rendering import VIRTUAL, rendered, tool

pytestmark = pytest.mark.infrastructure


def kwok_stages(**delays: list[list[float]]) -> dict[str, Any]:
    """Stages and options that KWOK gets on a carrier, by name."""
    virtual = VIRTUAL | {"lease": 40, "delays": {"start": [], "completion": []} | delays}
    own = {"scheduler": "volcano", "kubernetes_virtual": virtual}
    names = rendered("kubernetes", "kwok.env.j2", "compute1", **own)
    assert "KWOK_NODES=compute1 compute3 compute5" in names.splitlines()
    text = rendered("kubernetes", "kwok.yaml.j2", "compute1", **own)
    return {one["metadata"]["name"]: one for one in yaml.safe_load_all(text)}


def test_kwok_plays_the_nodes_of_its_carrier() -> None:
    found = kwok_stages()
    options = found.pop("kwok")["options"]
    assert options["manageNodesWithLabelSelector"] == "schedlab/carrier=compute1"
    assert (options["nodeIP"], options["nodeLeaseDurationSeconds"]) == ("10.0.100.11", 40)
    assert list(found) == [
        "node-initialize", "pod-start-1", "pod-complete-1", "pod-deadline", "pod-delete",
    ]  # fmt: skip
    assert "delay" not in found["pod-start-1"]["spec"]
    delay = found["pod-complete-1"]["spec"]["delay"]
    # The payload's time, without jitter.
    assert list(delay) == ["durationFrom"]
    pod = {"spec": {"containers": [{"args": ["", "0", "0", "2.500000", "sleep"]}]}}
    assert jq(delay["durationFrom"]["expressionFrom"], pod) == "2500000us"
    for name in ("pod-complete-1", "pod-deadline"):
        rule = found[name]["spec"]["selector"]["matchExpressions"][-1]
        for limit in (2, 60):
            told = jq(rule["key"], {"spec": pod["spec"] | {"activeDeadlineSeconds": limit}})
            assert (json.dumps(told) in rule["values"]) == (
                (name == "pod-deadline") == (limit == 2)
            )


def test_delays_are_a_stage_for_each_interval_of_equal_probability() -> None:
    found = kwok_stages(start=[[0.5, 1.25], [1.25, 4.0]], completion=[[0.1, 0.1], [0.1, 0.3]])
    kinds = [name for name in found if name.startswith(("pod-start", "pod-complete"))]
    assert kinds == ["pod-start-1", "pod-start-2", "pod-complete-1", "pod-complete-2"]
    assert {found[name]["spec"]["weight"] for name in kinds} == {1}
    pod = {"spec": {"containers": [{"args": ["", "0", "0", "2.500000", "sleep"]}]}}
    told = [
        [jq(delay[key]["expressionFrom"], pod) for key in ("durationFrom", "jitterDurationFrom")]
        for delay in (found[name]["spec"]["delay"] for name in kinds)
    ]
    assert told == [
        ["500000us", "1250000us"],
        ["1250000us", "4000000us"],
        ["2600000us", "2600000us"],
        ["2600000us", "2800000us"],
    ]


def jq(expression: str, value: dict[str, Any]) -> Any:
    """Result of a jq expression; KWOK evaluates them with a program of its own."""
    done = subprocess.run(
        [tool("jq"), expression],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
