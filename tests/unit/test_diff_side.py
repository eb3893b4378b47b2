"""Results that cannot be compared, or only in part, are named with the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from diff_factory import (
    CLUSTER,
    EXPERIMENT,
    IMAGE,
    PROVISIONED,
    changed,
    compare,
    edited,
    load,
    make_results,
    realised,
    record_path,
)

from schedlab.errors import SchedlabError
from schedlab.results.records import SCHEMA


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("side") / "a")


@pytest.mark.parametrize("content", [None, "nodes: [1, 2]\nworkloads: []\n", "of another"])
def test_an_experiment_file_of_something_else_is_left_out(
    results: Path, tmp_path: Path, content: str | None
) -> None:
    other = make_results(tmp_path / "b")
    inside, file = other / "experiments.yaml", tmp_path / "config" / "experiments.yaml"
    file.parent.mkdir()
    inside.rename(file)
    assert compare(results, other).notes == []
    if content is None:
        file.unlink()
    elif content == "of another":
        changed = EXPERIMENT.model_dump(mode="json") | {"nodes": [1, 2], "seed": 99}
        file.write_text(yaml.safe_dump(changed))
    else:
        file.write_text(content)
    found = compare(results, other)
    assert not found.differs
    (note,) = found.notes
    assert note.startswith(str(other)) and "experiment file" in note and "was not found" in note


def test_a_trial_that_contradicts_its_cluster_is_named(results: Path, tmp_path: Path) -> None:
    other = edited(
        results,
        tmp_path / "b",
        f"trials/{CLUSTER}/burst/2",
        changed("conditions", "accelerator", to="kvm"),
    )
    with pytest.raises(
        SchedlabError, match="burst/2/record.json is damaged: conditions.acc"
    ) as caught:
        compare(results, other)
    assert "is 'kvm', but accelerator.json has 'tcg'" in caught.value.message
    assert "copy the results again" in str(caught.value.remedy)


def test_a_missing_record_is_named_with_the_remedy(results: Path, tmp_path: Path) -> None:
    other = make_results(tmp_path / "b")
    record_path(other, IMAGE).unlink()
    with pytest.raises(SchedlabError, match=f"{IMAGE}/record.json \\(of {CLUSTER}") as caught:
        compare(results, other)
    assert str(other) in str(caught.value) and "remedy: run snakemake" in str(caught.value)


def test_results_without_records(results: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    with pytest.raises(SchedlabError, match="no records") as caught:
        compare(results, tmp_path)
    assert "remedy" in str(caught.value)


def test_another_schema_version_is_refused(results: Path, tmp_path: Path) -> None:
    other = edited(results, tmp_path / "b", IMAGE, changed("schema", to="schedlab.record/99"))
    with pytest.raises(SchedlabError, match="schedlab.record/99") as caught:
        compare(results, other)
    assert SCHEMA in str(caught.value) and "remedy" in str(caught.value)


def test_a_record_that_is_no_json(results: Path, tmp_path: Path) -> None:
    other = make_results(tmp_path / "b")
    record_path(other, IMAGE).write_text(json.dumps(load(other, IMAGE))[:100])
    with pytest.raises(SchedlabError, match="damaged"):
        compare(results, other)


def test_xml_that_cannot_be_read_is_named(results: Path, tmp_path: Path) -> None:
    other = edited(
        results,
        tmp_path / "b",
        PROVISIONED,
        realised("domain_xml", "head", to="<domain>"),
    )
    with pytest.raises(SchedlabError, match=f"{PROVISIONED}/head"):
        compare(results, other)
