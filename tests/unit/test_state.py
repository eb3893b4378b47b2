"""Snakemake's metadata is stored with results; a foreign copy can write only metadata."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from schedlab.lineage import state
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


def name_of(output: str) -> str:
    return base64.urlsafe_b64encode(output.encode()).decode()


def kept(results: Path, outputs: Any) -> None:
    content = {"schema": state.SCHEMA, "outputs": outputs}
    (results / ".snakemake.json").write_text(json.dumps(content))


def entry(path: str, **changes: Any) -> dict[str, Any]:
    return {"output": path, "sha256": file_digest(Path(path)), "metadata": {"x": 1}} | changes


def written(root: Path) -> list[str]:
    return sorted(p.as_posix() for p in root.rglob("*") if p.is_file())


def test_its_own_outputs_are_restored(results: Path) -> None:
    name = name_of("results/out.txt")
    kept(results, {name: entry("results/out.txt")})
    state.restore(results)
    assert json.loads((Path(".snakemake/metadata") / name).read_text()) == {"x": 1}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("../../../pwned", {}),
        ("{work}/pwned", {}),
        (name_of("outside.txt"), {"output": "outside.txt"}),
        (name_of("results/../outside.txt"), {"output": "results/../outside.txt"}),
        (name_of("results/out.txt"), {"output": "outside.txt"}),
        (name_of("results/out.txt"), {"metadata": "#!/bin/sh"}),
        (name_of("results/out.txt"), {"sha256": 1}),
        ("../" + name_of("results/out.txt"), {}),
        ("x/../../" + name_of("results/out.txt"), {}),
        ("\u00e9", {}),
        (name_of("results/\0"), {"output": "results/\0"}),
    ],
)
def test_nothing_else_is_written(results: Path, name: str, changes: dict[str, Any]) -> None:
    name = name.replace("{work}", str(Path.cwd()))
    before = written(Path.cwd().parent)
    kept(results, {name: entry("results/out.txt", **changes)})
    state.restore(results)
    assert [p for p in written(Path.cwd().parent) if not p.endswith(".json")] == before


def test_a_link_out_of_the_results_is_not_followed(results: Path) -> None:
    (results / "link").symlink_to("../outside.txt")
    kept(results, {name_of("results/link"): entry("results/link")})
    state.restore(results)
    assert not Path(".snakemake").exists()


@pytest.mark.parametrize(
    "content", ["[]", "{", '"x"', "[" * 99999, '{"schema":"schedlab.state/1"}']
)
def test_a_file_of_another_form_is_ignored(results: Path, content: str) -> None:
    (results / ".snakemake.json").write_text(content)
    state.restore(results)
    kept(results, [1])
    state.restore(results)
    assert not Path(".snakemake").exists()
