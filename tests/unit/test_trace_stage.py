"""Stages that need no machine and what their records say."""

from __future__ import annotations

import json
from pathlib import Path

from trial_factory import ROOT, make_experiment

from schedlab.results.records import beside, load_record, verify_outputs
from schedlab.stages.context import Context
from schedlab.stages.trace import write_trace


def trace_record(results: Path, **workload: object) -> dict:
    spec = {"name": "swf", "kind": "swf", "file": "resources/traces/sample.swf", "jobs": 3}
    experiment = make_experiment(workloads=[spec | workload])
    output = results / "traces" / "swf-n1-r1.json"
    write_trace(Context(experiment, results), "swf", "1", 1, output)
    verify_outputs(beside(output))
    return load_record(beside(output))


def test_a_trace_has_a_record_of_the_file_it_was_cut_from(tmp_path: Path) -> None:
    record = trace_record(tmp_path)
    assert (record["stage"], record["id"], record["parents"]) == ("trace", "swf-n1-r1", {})
    assert "resources/traces/sample.swf" in record["inputs"]
    assert "workflow/schedlab/workloads/swf.py" in record["inputs"]
    assert record["settings"]["workload"]["jobs"] == 3


def test_the_lineage_of_a_trace_is_the_same_in_every_folder(tmp_path: Path) -> None:
    one, two = (trace_record(tmp_path / name) for name in ("one", "two"))
    assert one["lineage"] == two["lineage"]
    assert one["lineage"] != trace_record(tmp_path / "three", jobs=4)["lineage"]


def test_a_file_named_by_its_absolute_path_leaves_no_path_in_the_record(tmp_path: Path) -> None:
    outside = tmp_path / "mine.swf"
    outside.write_text((ROOT / "resources" / "traces" / "sample.swf").read_text())
    text = json.dumps(trace_record(tmp_path / "results", file=str(outside)))
    assert "mine.swf" in text and str(tmp_path) not in text and str(ROOT) not in text
