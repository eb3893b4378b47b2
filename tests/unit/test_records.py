from __future__ import annotations

import json
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.records import RecordWriter, digest, load_record, verify_outputs


def write_chain(root: Path) -> tuple[Path, Path]:
    source = root / "source.txt"
    source.write_text("one")
    first = root / "image" / "record.json"
    first.parent.mkdir()
    (first.parent / "disk").write_bytes(b"disk")
    RecordWriter("image", "slurm", root, inputs=[source]).write(
        first, outputs=[first.parent / "disk"]
    )
    second = root / "cluster" / "record.json"
    RecordWriter("provision", "slurm-n1", root, parents={"image": first}).write(second)
    return first, second


def test_a_record_names_its_parent_and_its_files(tmp_path: Path) -> None:
    first, second = write_chain(tmp_path)
    image, cluster = load_record(first), load_record(second)
    assert image["inputs"] == {
        "source.txt": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    }
    assert list(image["outputs"]) == ["disk"]
    assert cluster["parents"]["image"]["lineage"] == image["lineage"]


def test_lineage_depends_on_content_and_parent_not_on_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = load_record(write_chain(tmp_path / "a")[1])
    two = load_record(write_chain(tmp_path / "b")[1])
    # The parent's file digest covers its times; its lineage does not.
    assert one["parents"] == two["parents"]


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


@pytest.mark.parametrize("content", ["{", json.dumps({"schema": "schedlab.record/99"})])
def test_damaged_and_unknown_records_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(SchedlabError, match="damaged|schema"):
        load_record(path)


def test_digest_ignores_key_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
