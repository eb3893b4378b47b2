"""What the Flux adapter says is in force: settings, the parity manifest, counters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flux_factory import FACTS

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.base import PARITY

FLUX = get_scheduler("flux")


FLUXION = {
    "parameters": {
        "sched-fluxion-resource": {"params": {"policy": "first", "match-format": "rv1"}}
    },
    "statistics": {
        "sched-fluxion-qmanager": {"queues": {"default": {"policy": "easy", "queue_depth": 32}}}
    },
}


def native(tmp_path: Path, facts: dict[str, Any]) -> Path:
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    return tmp_path


def test_settings_are_what_was_in_force(tmp_path: Path) -> None:
    assert FLUX.settings(native(tmp_path, FACTS)) == {
        "flux-core version": "flux-core 0.88.0", "flux-sched version": "flux-sched 0.54.0",
        "scheduler": "sched-simple", "queue-policy": "fcfs", "queue-depth": "16",
    }  # fmt: skip
    found = FLUX.settings(native(tmp_path, FACTS | FLUXION))
    assert (found["scheduler"], found["queue-policy"]) == ("fluxion", "easy")
    assert (found["queue-depth"], found["match-format"]) == ("32", "rv1")
    (tmp_path / "facts.json").write_text("{")
    assert FLUX.settings(tmp_path) == {}


SILENT = {
    "versions": FACTS["versions"],
    "configuration": {},
    "parameters": {},
    "statistics": {},
}
"""What an instance tells none of whose modules answers."""


def chosen(module: str) -> dict[str, Any]:
    return {"configuration": {"modules": {"alternatives": {"sched": module}}}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("unknown", "unknown", "unknown")),
        (chosen("sched-fluxion-qmanager"), ("fluxion", "unknown", "unknown")),
        (chosen("sched-fifo"), ("sched-fifo", "unknown", "unknown")),
        (chosen("sched-simple"), ("sched-simple", "fcfs", "8")),
        # No configuration: it is sched-simple, with nobody knows which depth.
        ({"statistics": {"sched-simple": {"pending": 1}}}, ("sched-simple", "fcfs", "unknown")),
        (
            {"parameters": {"sched-fluxion-qmanager": {"params": {}}}},
            ("fluxion", "unknown", "unknown"),
        ),
    ],
)
def test_a_scheduler_that_does_not_answer_is_not_taken_for_another(
    tmp_path: Path, told: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    found = FLUX.settings(native(tmp_path, SILENT | told))
    assert (found["scheduler"], found["queue-policy"], found["queue-depth"]) == expected
    limits = FLUX.limits(found, {})
    assert [limit.setting for limit in limits] == (["queueDepth"] if expected[2] == "8" else [])
    assert FLUX.parity(tmp_path)["back-fill"].startswith(
        "no:" if expected[0] == "sched-simple" else "unknown"
    )


@pytest.mark.parametrize("facts", [FACTS, FACTS | FLUXION, SILENT, {}])
def test_the_parity_manifest_has_every_row(tmp_path: Path, facts: dict[str, Any]) -> None:
    rows = FLUX.parity(native(tmp_path, facts))
    assert set(rows) == set(PARITY)
    assert all(rows.values())


def test_the_report_gets_the_version_of_the_program_that_schedules(tmp_path: Path) -> None:
    assert (
        "sched-simple of flux-core 0.88.0"
        in FLUX.parity(native(tmp_path, FACTS))["scheduling period"]
    )
    fluxion = FLUX.parity(native(tmp_path, FACTS | FLUXION))["scheduling period"]
    assert "fluxion of flux-sched 0.54.0" in fluxion
    # The methods section tells settings by this word.
    assert sum("version" in key for key in FLUX.settings(native(tmp_path, FACTS))) == 2


def test_back_fill_is_that_of_the_policy(tmp_path: Path) -> None:
    assert FLUX.parity(native(tmp_path, FACTS))["back-fill"].startswith("no")
    assert "easy" in FLUX.parity(native(tmp_path, FACTS | FLUXION))["back-fill"]


def test_the_time_limit_runs_from_the_allocation(tmp_path: Path) -> None:
    simple = FLUX.parity(native(tmp_path, FACTS))["time limit"]
    assert "from the allocation" in simple and "25 %" in simple and "Fluxion" not in simple
    fluxion = FLUX.parity(native(tmp_path, FACTS | FLUXION))["time limit"]
    assert "whole second, rounded down" in fluxion


def test_counters_are_the_modules(tmp_path: Path) -> None:
    assert FLUX.counters(native(tmp_path, FACTS)) == {
        "job-manager.active_jobs": 0.0,
        "job-manager.inactive_jobs": 4.0,
        "jobs.job_states.inactive": 4.0,
    }


def test_counters_are_of_no_single_job(tmp_path: Path) -> None:
    revision = {"store revision": 3}
    kvs = {"namespace": {"primary": revision, "job-73349988352": revision}, "pending_requests": 0}
    assert FLUX.counters(native(tmp_path, SILENT | {"statistics": {"kvs": kvs}})) == {
        "kvs.namespace.primary.store_revision": 3.0,
        "kvs.pending_requests": 0.0,
    }
