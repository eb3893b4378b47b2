"""A run of the workflow keeps its state for who watches it."""

from __future__ import annotations

import pytest
from conftest import MiniWorkflow

from schedlab.watch.run import ORDER, read_run
from schedlab.watch.show import headline
from schedlab.watch.sight import look

pytestmark = pytest.mark.workflow


def test_a_run_that_ended_is_known_with_all_its_stages(built: MiniWorkflow) -> None:
    results = built.root / "results"
    state = read_run(results)
    assert state is not None and not state.alive and not state.at_work
    assert all(stage.finished == stage.total for stage in state.stages)
    names = [stage.rule for stage in state.stages]
    assert names == [name for name in ORDER if name in names]
    assert {"image", "provision", "configure", "trial", "report"} <= set(names)
    assert ": finished" in headline(look(results))


def test_a_dry_run_does_not_touch_the_state(built: MiniWorkflow) -> None:
    before = (built.root / "results" / ".run.json").read_bytes()
    built.snakemake("--dry-run", "--forceall")
    assert (built.root / "results" / ".run.json").read_bytes() == before
