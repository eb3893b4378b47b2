from __future__ import annotations

import json
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.results.records import (
    RecordWriter,
    digest,
    digests,
    file_digest,
    lineage,
    load_record,
    verify_outputs,
)


def write_chain(root: Path) -> tuple[Path, Path]:
    source = root / "source.txt"
    source.write_text("one")
    results = root / "results"
    first = results / "image" / "record.json"
    first.parent.mkdir(parents=True)
    (first.parent / "disk").write_bytes(b"disk")
    RecordWriter("image", "slurm", root, results, inputs=[source]).write(
        first, outputs=[first.parent / "disk"]
    )
    second = results / "cluster" / "record.json"
    RecordWriter("provision", "slurm-n1", root, results, parents={"image": first}).write(second)
    return first, second


def test_a_record_names_its_parent_and_its_files(tmp_path: Path) -> None:
    first, second = write_chain(tmp_path)
    image, cluster = load_record(first), load_record(second)
    assert image["inputs"] == {
        "source.txt": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    }
    assert list(image["outputs"]) == ["disk"]
    assert cluster["parents"]["image"]["lineage"] == image["lineage"]


def test_lineage_depends_on_content_and_parents_lineage_not_on_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_chain(tmp_path / name)
    results = tmp_path / "b" / "results"
    image = results / "image" / "record.json"
    later = json.loads(image.read_text()) | {
        "created": "2031-01-01T00:00:00+00:00",
        "duration": 7.5,
        "source": {"commit": "0" * 40, "dirty": False, "diff": None},
    }
    image.write_text(json.dumps(later))
    cluster = results / "cluster" / "record.json"
    RecordWriter("provision", "slurm-n1", tmp_path / "b", results, parents={"image": image}).write(
        cluster
    )
    one = load_record(tmp_path / "a" / "results" / "cluster" / "record.json")
    two = load_record(cluster)
    assert one["lineage"] == two["lineage"]
    # The message also names the record.
    assert one["parents"]["image"]["record"] != two["parents"]["image"]["record"]
    assert two["parents"]["image"]["record"] == file_digest(image)
    assert two["parents"]["image"]["path"] == "image/record.json"


def test_lineage_can_be_computed_from_the_record_alone(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    RecordWriter("image", "slurm", tmp_path, tmp_path).write(
        path, cores={1: (2, 3), 10: (4,)}, empty=None
    )
    record = load_record(path)
    assert lineage(record) == record["lineage"]
    assert lineage(record | {"empty": 1}) != record["lineage"]


def test_a_source_edited_while_the_stage_runs_is_recorded_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("before")
    writer = RecordWriter("image", "slurm", tmp_path, tmp_path / "results", inputs=[source])
    before = file_digest(source)
    source.write_text("after")
    assert writer.write(tmp_path / "results" / "record.json")["inputs"] == {"source.txt": before}


def test_inputs_in_the_results_are_named_alike_wherever_those_are(tmp_path: Path) -> None:
    for name in ("here", "there"):
        folder = tmp_path / name / "traces"
        folder.mkdir(parents=True)
        (folder / "t.json").write_text("{}")
    names = [
        list(digests([tmp_path / name / "traces"], tmp_path / "here", tmp_path / name))
        for name in ("here", "there")
    ]
    assert names == [["results/traces/t.json"]] * 2


def test_a_changed_output_is_found_at_use(tmp_path: Path) -> None:
    first, _ = write_chain(tmp_path)
    verify_outputs(first)
    (first.parent / "disk").write_bytes(b"disc")
    with pytest.raises(SchedlabError, match="not the file") as caught:
        verify_outputs(first)
    assert "run snakemake again" in str(caught.value)


def test_a_missing_output_is_found_at_use(tmp_path: Path) -> None:
    first, _ = write_chain(tmp_path)
    (first.parent / "disk").unlink()
    with pytest.raises(SchedlabError, match="missing"):
        verify_outputs(first)


@pytest.mark.parametrize(
    ("content", "message", "remedy"),
    [
        ("{", "damaged", "run the stage again"),
        (json.dumps({"schema": "schedlab.record/99"}), "a newer release", "upgrade"),
        (json.dumps({"schema": "schedlab.record/1"}), "another release", "run the stage again"),
        (json.dumps({"schema": "else"}), "no release", "run the stage again"),
    ],
)
def test_damaged_and_unknown_records_are_refused(
    tmp_path: Path, content: str, message: str, remedy: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(SchedlabError, match=message) as caught:
        load_record(path)
    assert remedy in str(caught.value.remedy) and str(path) in str(caught.value)


def test_digest_ignores_key_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
