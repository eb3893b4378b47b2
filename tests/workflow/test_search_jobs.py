"""Searches for the highest sustained rate, as Snakemake runs them; SIMULATED stages."""

from __future__ import annotations

import json

import pytest
from conftest import MiniWorkflow

pytestmark = pytest.mark.workflow

KNEE = 5.0
SEARCH = (
    "  - {name: knee, kind: saturate, workload: {kind: poisson}, rate: {low: 1, high: 16},"
    " precision: 20 %}\n"
)


def with_search(workflow: MiniWorkflow) -> None:
    text = (workflow.root / workflow.config).read_text()
    head = text[: text.index("workloads:")].replace("repetitions: 2", "repetitions: 1")
    (workflow.root / workflow.config).write_text(f"{head}workloads:\n{SEARCH}")
    cells = {f"slurm-n{nodes}.knee": [KNEE] for nodes in (1, 2)}
    workflow.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps(cells)


def rates(workflow: MiniWorkflow) -> dict[str, float | None]:
    """Rate of every decision by cell and step."""
    found = {}
    for path in (workflow.root / "results" / "decisions").rglob("*.record.json"):
        record = json.loads(path.read_text())
        found[record["id"]] = record["decision"]["rate"]
    return found


def test_a_search_climbs_until_its_bracket_is_narrow_and_resumes(mini: MiniWorkflow) -> None:
    with_search(mini)
    mini.environment["SCHEDLAB_SIMULATED_FAILURES"] = "slurm-n1.knee.3"
    mini.run(check=False)
    del mini.environment["SCHEDLAB_SIMULATED_FAILURES"]
    again = [line for line in mini.run() if line.startswith("trial")]
    assert not any("slurm-n1" in line and line.endswith("repetition=1") for line in again)
    assert mini.run() == []
    steps = [rates(mini)[f"slurm-n1.knee.{number}"] for number in range(1, 8)]
    assert steps[:4] == [1.0, 16.0, 4.0, 8.0]
    assert steps[4:6] == pytest.approx([5.65685, 4.75683], rel=1e-4)
    assert steps[6] is None, "5.66 / 4.76 is less than 1.2"


def test_a_search_that_runs_again_is_decided_again(mini: MiniWorkflow) -> None:
    """Rates that were decided before would be those of another search."""
    with_search(mini)
    text = (mini.root / mini.config).read_text().replace("nodes: [1, 2]", "nodes: [1]")
    (mini.root / mini.config).write_text(text)
    mini.run()
    (mini.root / mini.config).write_text(text.replace("low: 1,", "low: 2,"))
    mini.run()
    found = rates(mini)
    assert [found[f"slurm-n1.knee.{number}"] for number in range(1, 4)] == [2.0, 16.0, 5.65685]
    # Another cluster, which sustains more.
    mini.environment["SCHEDLAB_SIMULATED_VALUES"] = json.dumps({"slurm-n1.knee": [3 * KNEE]})
    for path in (mini.root / "results" / "clusters").glob("*/configured/record.json"):
        path.unlink()
    mini.run()
    found = rates(mini)
    assert [found[f"slurm-n1.knee.{number}"] for number in range(1, 4)] == [2.0, 16.0, 5.65685]
    assert found["slurm-n1.knee.4"] == pytest.approx(9.51366, rel=1e-4)
    assert mini.run() == []
