"""`schedlab trace` over SYNTHETIC results: the whole chain, and every kind of break in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from record_factory import SOURCE
from trial_factory import FAILED, ROOT

from schedlab.cli.lineage import MISMATCH
from schedlab.cli.main import main
from schedlab.lineage import check
from schedlab.results.provenance import committed_digest
from schedlab.results.records import digest, file_digest, write_json


@pytest.fixture(scope="module")
def made(report: Path) -> Path:
    return report.parent


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "results")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A checkout whose sources are those of this one."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "workflow" / "schedlab", folder / "workflow" / "schedlab")
    return folder


def trace(results: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["trace", "--results", str(results), *arguments])


def traced(results: Path, *arguments: str) -> dict:
    return json.loads(trace(results, "--json", *arguments).stdout)


def test_a_figure_ends_at_the_commit_and_the_disks(made: Path) -> None:
    done = trace(made, "makespan")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("figure makespan\n")
    for words in (SOURCE["commit"], f"image disk sha256 {digest('disk')}", "base disk sha256"):
        assert words in done.stdout
    assert "every link matches the files" in done.stdout
    data = traced(made, "makespan")
    stages = [link["stage"] for link in data["links"]]
    assert stages[:3] == ["figure", "tables", "trial"]
    order = ["figure", "tables", "trial", "configure", "provision", "image", "base"]
    assert sorted(order, key=stages.index) == order
    assert stages.count("trial") == 24 and stages.count("base") == 1
    # This checkout made tables and figures here, the synthetic commit all before.
    assert SOURCE["commit"] in {state["commit"] for state in data["commits"]}


def test_a_trial_names_only_what_is_before_it(made: Path) -> None:
    data = traced(made, "slurm-n1.burst.1")
    assert [link["id"] for link in data["links"]][:4] == [
        "slurm-n1.burst.1", "slurm-n1/configured", "burst-n1-r1", "slurm-n1/provisioned",
    ]  # fmt: skip
    assert {link["stage"] for link in data["links"]}.isdisjoint({"figure", "tables"})
    assert data["matches"] and data["first_mismatch"] is None


def test_a_cell_lists_the_trials_that_it_summarises(made: Path) -> None:
    cell = traced(made, "slurm-n2.gang/makespan")
    ids = [trial["id"] for trial in cell["target"]["trials"]]
    assert sorted(ids) == [f"slurm-n2.gang.{n}" for n in (1, 2, 3)]
    assert [t["id"] for t in cell["target"]["trials"] if not t["valid"]] == [FAILED]
    assert cell["target"]["n"] == 2
    trials = [link for link in cell["links"] if link["stage"] == "trial"]
    assert {link["id"] for link in trials} == set(ids)
    assert {link["lineage"] for link in trials} == {t["lineage"] for t in cell["target"]["trials"]}
    assert f"{FAILED} (invalid, left out)" in trace(made, "slurm-n2.gang/makespan").stdout


@pytest.mark.parametrize("target", ["slurm-n9.burst.1", "makespam", "slurm-n1.burst/beauty", "x/y"])
def test_an_unknown_target_lists_what_there_is(made: Path, target: str) -> None:
    done = trace(made, target)
    assert done.exit_code == 1
    for words in (target, "slurm-n1.burst.1", "makespan", "slurm-n2.gang", "wait_median"):
        assert words in done.stderr


def first(results: Path, target: str) -> tuple[str, str, str]:
    done = trace(results, "--json", target)
    assert done.exit_code == MISMATCH, done.output
    found = json.loads(done.stdout)["first_mismatch"]
    assert f"FIRST MISMATCH: {found['kind']} {found['name']}" in trace(results, target).stdout
    return found["kind"], found["name"], found["message"]


def test_a_changed_output_is_named(results: Path) -> None:
    (results / "images" / "slurm" / "image" / "disk.qcow2").write_text("another disk\n")
    assert first(results, "makespan")[:2] == ("output", "disk.qcow2")


def test_a_missing_output_is_a_mismatch_in_results_and_not_in_a_bundle(results: Path) -> None:
    (results / "images" / "slurm" / "image" / "disk.qcow2").unlink()
    assert first(results, "makespan") == ("output", "disk.qcow2", "is missing")
    (results.parent / "ro-crate-metadata.json").write_text("{}")
    done = trace(results, "makespan")
    assert done.exit_code == 0, done.output
    assert "not here (digest only): disk.qcow2" in done.stdout


def test_a_changed_output_is_a_mismatch_in_a_bundle_too(results: Path) -> None:
    (results.parent / "ro-crate-metadata.json").write_text("{}")
    svg = results / "figures" / "makespan.svg"
    svg.write_bytes(svg.read_bytes().replace(b"<svg", b"<svG", 1))
    assert first(results, "makespan")[:2] == ("output", "makespan.svg")


def test_a_changed_source_is_named(results: Path, sources: Path) -> None:
    arguments = ("--source", str(sources), "slurm-n1.burst.1")
    assert trace(results, *arguments).exit_code == 0
    (sources / "workflow" / "schedlab" / "errors.py").write_text("edited")
    done = trace(results, *arguments)
    assert done.exit_code == MISMATCH
    assert "FIRST MISMATCH: input workflow/schedlab/errors.py" in done.stdout


def test_a_source_that_matches_its_commit_may_have_changed_since(
    results: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "workflow/schedlab/errors.py"
    commit = commit_all(sources)
    # The made-up records name a commit that no checkout has: that of this checkout stands for it.
    monkeypatch.setattr(
        check, "_committed", lambda root, _, name: committed_digest(root, commit, name)
    )
    (sources / name).write_text("edited")
    done = trace(results, "--source", str(sources), "slurm-n1.burst.1")
    assert done.exit_code == 0, done.output
    assert f"the checkout has changed since: {name}" in done.stdout
    assert "every link matches the files" in done.stdout
    # What neither the commit nor the checkout has is wrong as before.
    later = commit_all(sources)
    monkeypatch.setattr(
        check, "_committed", lambda root, _, name: committed_digest(root, later, name)
    )
    assert trace(results, "--source", str(sources), "slurm-n1.burst.1").exit_code == MISMATCH


def test_a_source_that_was_removed_since_matches_its_commit(
    results: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "workflow/schedlab/errors.py"
    commit = commit_all(sources)
    (sources / name).unlink()
    arguments = ("--source", str(sources), "slurm-n1.burst.1")
    assert "input workflow/schedlab/errors.py" in trace(results, *arguments).stdout
    monkeypatch.setattr(
        check, "_committed", lambda root, _, name: committed_digest(root, commit, name)
    )
    assert trace(results, *arguments).exit_code == 0


@pytest.mark.parametrize("named", [False, True])
def test_git_is_not_asked_about_the_sources_of_a_bundle(
    results: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """A stranger's `source/.git` may name programs that git starts."""
    (results.parent / "ro-crate-metadata.json").write_text("{}")
    source = results.parent / "source"
    (source / ".git").mkdir(parents=True)
    (source / "workflow" / "schedlab").mkdir(parents=True)
    (source / "workflow" / "schedlab" / "errors.py").write_text("edited")
    monkeypatch.setattr(check, "_committed", lambda *_: pytest.fail("git was asked"))
    arguments = ("--source", str(source)) if named else ()
    assert trace(results, *arguments, "slurm-n1.burst.1").exit_code == MISMATCH


def commit_all(folder: Path) -> str:
    """Commit all files of a folder; the commit."""

    def git(*words: str) -> str:
        named = (
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
            "-c",
            "commit.gpgsign=false",
        )
        done = subprocess.run(
            ["git", *named, *words], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message", "files")
    return git("rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["nothing.py", "../x", "-x", ""])
def test_a_commit_tells_nothing_of_files_that_it_has_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "one.py").write_text("one")
    commit = commit_all(tmp_path)
    assert committed_digest(tmp_path, commit, "one.py") == file_digest(tmp_path / "one.py")
    assert committed_digest(tmp_path, commit, name) is None
    for other in ("0" * 40, "HEAD", "--help", commit[:12]):
        assert committed_digest(tmp_path, other, "one.py") is None
    inner = tmp_path / "inner"
    inner.mkdir()
    assert committed_digest(inner, commit, "one.py") is None


def test_a_bundle_brings_its_own_sources(results: Path) -> None:
    (results.parent / "ro-crate-metadata.json").write_text("{}")
    inside = results.parent / "source" / "workflow" / "schedlab" / "errors.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("edited")
    assert first(results, "slurm-n1.burst.1")[:2] == ("input", "workflow/schedlab/errors.py")


def test_an_edited_record_is_found_by_its_own_digest(results: Path) -> None:
    path = results / "trials" / "slurm-n1" / "burst" / "1" / "record.json"
    record = json.loads(path.read_text())
    record["conditions"]["accelerator"] = "kvm"
    write_json(path, record)
    kind, name, _ = first(results, "slurm-n1.burst.1")
    assert (kind, name) == ("record", "trials/slurm-n1/burst/1/record.json")


def test_a_record_made_again_is_found_by_its_child(results: Path) -> None:
    path = results / "clusters" / "slurm-n1" / "configured" / "record.json"
    before = file_digest(path)
    write_json(path, json.loads(path.read_text()) | {"duration": 99.0})
    assert file_digest(path) != before
    kind, name, message = first(results, "slurm-n1.burst.1")
    assert (kind, name) == ("parent", "clusters/slurm-n1/configured/record.json")
    assert "same lineage" in message
    assert trace(results, "slurm-n2.burst.1").exit_code == 0


def test_a_missing_record_is_named(results: Path) -> None:
    (results / "images" / "slurm" / "base" / "record.json").unlink()
    kind, name, message = first(results, "makespan")
    assert (kind, name, message) == ("parent", "images/slurm/base/record.json", "is missing")


def test_tables_of_other_trials_are_found(results: Path, made: Path) -> None:
    """Rows that carry another lineage than the record of the tables names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = results / "tables" / "trials.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("lineage")
    forged = pa.array(["0" * 64] * len(table))
    pq.write_table(table.set_column(place, table.schema.field(place), forged), path)
    data = traced(results, "slurm-n1.burst/makespan")
    kinds = {wrong["kind"] for link in data["links"] for wrong in link["mismatches"]}
    assert {"row", "output"} <= kinds


def test_every_row_of_every_table_carries_its_trials_lineage(made: Path) -> None:
    from schedlab.tables.build import load_tables

    tables = load_tables(made / "tables")
    named = {
        ".".join(path.parts[-4:-1]): json.loads(path.read_text())["lineage"]
        for path in (made / "trials").rglob("record.json")
    }
    for table in tables:
        assert len(table)
        assert (table["trial"].astype(str).map(named) == table["lineage"].astype(str)).all()
