"""Snakemake's metadata is stored with results; a foreign copy can write only metadata."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from schedlab.lineage import state
from schedlab.lineage.snakemake_metadata import stored_metadata, write_metadata
from schedlab.results.digests import file_digest


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results in a working folder, with one output; another file beside them."""
    work = tmp_path / "work"
    (work / "results").mkdir(parents=True)
    (work / "results/out.txt").write_text("out")
    (work / "outside.txt").write_text("out")
    monkeypatch.chdir(work)
    return Path("results")


def kept(results: Path, outputs: Any, before: Any = "results") -> None:
    content = {"schema": state.SCHEMA, "results": before, "outputs": outputs}
    (results / ".snakemake.json").write_text(json.dumps(content))


def entry(path: Path, **changes: Any) -> dict[str, Any]:
    return {"sha256": file_digest(path), "metadata": {"x": 1}} | changes


def written(root: Path) -> list[str]:
    return sorted(p.as_posix() for p in root.rglob("*") if p.is_file())


def known(results: Path) -> dict[str, dict[str, Any]]:
    """What Snakemake knows, by output."""
    return {stored.output.as_posix(): stored.content for stored in stored_metadata(results)}


def test_its_own_outputs_are_restored(results: Path) -> None:
    kept(results, {"out.txt": entry(results / "out.txt")})
    state.restore(results)
    assert known(results) == {"results/out.txt": {"x": 1}}


@pytest.mark.parametrize("name", ["renamed", "sub/other", "{elsewhere}"])
@pytest.mark.parametrize("how", ["moved", "copied"])
def test_results_under_another_name_are_known(
    name: str, how: str, results: Path, tmp_path: Path
) -> None:
    """Without metadata no changed setting would make a stage of them run again."""
    now = Path(name.format(elsewhere=tmp_path / "elsewhere"))
    output, source = results / "out.txt", "resources/trace.swf"
    read = {"input": ["results/in.json", source], "input_checksums": {"results/in.json": "a"}}
    made = {**read, "log": ["results/out.log"], "params": ["results/x"], "code": "echo"}
    write_metadata(output, made | {"endtime": output.stat().st_mtime})
    state.keep(results)
    now.parent.mkdir(exist_ok=True)
    if how == "copied":
        shutil.copytree(results, now)
    else:
        results.rename(now)
    state.restore(now)
    (found,) = known(now).values()
    assert list(known(now)) == [f"{now}/out.txt"]
    assert found["input"] == [f"{now}/in.json", source]
    assert found["input_checksums"] == {f"{now}/in.json": "a"}
    assert found["log"] == [f"{now}/out.log"]
    assert (found["params"], found["code"]) == (["results/x"], "echo")
    # From there they may go on.
    state.keep(now)
    written = json.loads((now / ".snakemake.json").read_text())
    assert (written["results"], list(written["outputs"])) == (str(now), ["out.txt"])


def test_metadata_of_other_results_that_had_the_name_is_replaced(results: Path) -> None:
    output = results / "out.txt"
    write_metadata(output, {"params": ["other"], "endtime": 100.0})
    kept(results, {"out.txt": entry(output, metadata={"params": ["own"]})})
    state.restore(results)
    assert known(results) == {"results/out.txt": {"params": ["own"]}}
    # What this checkout knows itself stays.
    write_metadata(output, {"params": ["new"], "endtime": output.stat().st_mtime})
    state.restore(results)
    assert known(results)["results/out.txt"]["params"] == ["new"]


def test_what_changed_after_the_copy_was_made_is_not_restored(results: Path) -> None:
    kept(results, {"out.txt": entry(results / "out.txt")})
    (results / "out.txt").write_text("other")
    state.restore(results)
    assert known(results) == {}


def test_records_of_moved_results_that_nothing_is_known_of_are_told(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = "traces/w-n1-r1.record.json"
    for path in ("trials/c/w/1/record.json", trace, "imported/x/record.json"):
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_text("{}")
    write_metadata(results / trace, {"endtime": 0})
    state.restore(results)
    told = capsys.readouterr().err
    assert "NOTICE: Snakemake knows nothing of 1 record in results" in told
    assert "results/trials/c/w/1/record.json; remove" in told
    # A job that was interrupted runs again.
    unfinished = Path(".snakemake/incomplete")
    unfinished.mkdir()
    name = base64.urlsafe_b64encode(b"results/trials/c/w/1/record.json").decode()
    (unfinished / name).touch()
    state.restore(results)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("../outside.txt", {}),
        ("{work}/outside.txt", {}),
        ("./../results/../outside.txt", {}),
        ("out.txt", {"metadata": "#!/bin/sh"}),
        ("out.txt", {"sha256": 1}),
        ("out.txt", {"metadata": {"input": 5}}),
        ("out.txt", {"metadata": {"input": [5]}}),
        ("out.txt", {"metadata": {"params": [{}]}}),
        ("out.txt", {"metadata": {"input_checksums": {"a": {}}}}),
        ("out.txt", {"metadata": {"endtime": "x"}}),
        ("out.txt", {"metadata": {"incomplete": 2}}),
        ("out.txt", {"metadata": {"rule": []}}),
        ("x/../out.txt", {}),
        ("\0", {}),
        ("", {}),
    ],
)
def test_nothing_else_is_written(results: Path, path: str, changes: dict[str, Any]) -> None:
    path = path.replace("{work}", str(Path.cwd()))
    kept(results, {path: entry(results / "out.txt", **changes)})
    before = written(Path.cwd().parent)
    state.restore(results)
    assert written(Path.cwd().parent) == before


@pytest.mark.parametrize("before", [None, 1, [], {}])
def test_a_name_of_the_results_that_is_none_is_ignored(results: Path, before: Any) -> None:
    kept(results, {"out.txt": entry(results / "out.txt")}, before)
    state.restore(results)
    assert known(results) == {}


def test_a_link_out_of_the_results_is_not_followed(results: Path) -> None:
    (results / "link").symlink_to("../outside.txt")
    kept(results, {"link": entry(results / "link")})
    state.restore(results)
    assert not Path(".snakemake").exists()


@pytest.mark.parametrize(
    "content", ["[]", "{", '"x"', "[" * 99999, '{"schema":"schedlab.state/2"}']
)
def test_a_file_of_another_form_is_ignored(results: Path, content: str) -> None:
    (results / ".snakemake.json").write_text(content)
    state.restore(results)
    kept(results, [1])
    state.restore(results)
    assert not Path(".snakemake").exists()
