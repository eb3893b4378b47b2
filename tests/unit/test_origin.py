"""What a record says of the command and the commit that made it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from schedlab.results import provenance as origin


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "workflow").mkdir(parents=True)
    (root / "workflow" / "stage.py").write_text("one\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "First")
    return root


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert origin.source(checkout) == {"commit": commit, "dirty": False, "diff": None}


def test_an_edit_a_removal_and_a_new_source_are_different_states(checkout: Path) -> None:
    seen = []
    (checkout / "workflow" / "stage.py").write_text("two\n")
    seen.append(origin.source(checkout))
    (checkout / "workflow" / "new.py").write_text("new\n")
    seen.append(origin.source(checkout))
    (checkout / "workflow" / "stage.py").unlink()
    seen.append(origin.source(checkout))
    assert all(state and state["dirty"] for state in seen)
    assert len({state["diff"] for state in seen if state}) == 3


def test_results_that_git_does_not_ignore_are_no_change(checkout: Path) -> None:
    (checkout / "other-results").mkdir()
    (checkout / "other-results" / "disk").write_text("large\n")
    state = origin.source(checkout)
    assert state and not state["dirty"]


def test_without_git_or_a_checkout_there_is_no_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert origin.source(tmp_path) is None
    # An unpacked archive inside somebody's repository is not at that repository's commit.
    assert origin.source(checkout / "workflow") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin.source(checkout) is None


def test_the_environment_of_a_hook_does_not_mislead(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = origin.source(checkout)
    monkeypatch.setenv("GIT_DIR", str(checkout / "elsewhere"))
    assert origin.source(checkout) == expected is not None


def test_the_command_has_no_path_of_this_machine(tmp_path: Path) -> None:
    seen = []

    @click.group()
    def main() -> None: ...

    @main.command()
    @click.option("--results", type=click.Path(path_type=Path))
    @click.option("--experiments", type=click.Path(path_type=Path))
    @click.option("--output", type=click.Path(path_type=Path))
    @click.option("--cluster")
    @click.option("--again", is_flag=True)
    @click.option("--never", is_flag=True)
    def trial(**_options: object) -> None:
        seen.append(origin.command(tmp_path))

    arguments = ["trial", "--results", "/elsewhere/results", "--cluster", "slurm-n1", "--again"]
    arguments += ["--experiments", str(tmp_path / "config" / "e.yaml"), "--output", "/srv/x y.json"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert seen == [
        "schedlab trial --experiments config/e.yaml --output 'x y.json' --cluster slurm-n1 --again"
    ]


def test_outside_of_a_command_there_is_none(tmp_path: Path) -> None:
    assert origin.command(tmp_path) is None
