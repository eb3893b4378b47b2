"""Paths that a user names on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab.cli.main import main
from schedlab.cli.options import ArgumentFromEnvironment, FromEnvironment
from schedlab.errors import SchedlabError
from schedlab.invocation import results_name

LONG = "a" * 300
COMMANDS = (
    ("import", "bundle.zip", "--results"),
    ("clean", "--results"),
    ("disk", "--results"),
    ("disk", "--experiments"),
    ("watch",),
    ("verify",),
    ("analyse",),
    ("analyse", "trace.swf", "--figures"),
    ("render", "bundle.zip", "--output"),
    ("bundle", "--output"),
    ("toolchain", "--output"),
    ("export", "trial", "--output"),
    ("lock", "flux", "--output"),
    ("diff", "a"),
    ("log",),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("~nobody-of-that-name/x", "no such user"),
        (LONG, "300 bytes is longer than file systems take"),
        (f"x/{LONG}/y", "300 bytes is longer than file systems take"),
        ("x/" * 3000, "longer than file systems take (4095)"),
        ("", "has no value"),
    ],
    ids=("user", "name", "part", "path", "empty"),
)
def test_a_path_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], path: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*words, path])
    assert done.exit_code == (2 if words[0] == "diff" else 1), done.output
    assert told in done.output and "remedy: " in done.output and len(done.output) < 500
    assert list(tmp_path.iterdir()) == []


def test_the_home_folder_is_what_the_shell_takes_it_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell does not expand it in `--results=~/mine`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["watch", "--once", "~/mine"])
    assert f"{tmp_path}/home/mine" in done.output, done.output


@pytest.mark.parametrize("command", ["disk", "reap", "clean", "trials", "watch", "trace x", "why"])
def test_an_empty_variable_is_not_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """As of `make disk RESULTS=$MINE`, where MINE is not set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCHEDLAB_RESULTS", "")
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 1 and "SCHEDLAB_RESULTS: it has no value" in done.output


def test_every_variable_that_gives_a_value_is_refused_when_it_is_empty() -> None:
    """Whatever command reads it."""
    given = {
        f"{name} {parameter.name}": parameter
        for name, command in main.commands.items()
        for parameter in command.params
        if parameter.envvar
    }
    assert "watch results" in given and "disk experiments" in given
    refusing = (FromEnvironment, ArgumentFromEnvironment)
    assert not [name for name, found in given.items() if not isinstance(found, refusing)]


def test_a_folder_that_is_named_needs_no_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDLAB_RESULTS", "")
    done = CliRunner().invoke(main, ["watch", "--once", str(tmp_path / "mine")])
    assert f"{tmp_path}/mine: no such folder" in done.output, done.output


def test_a_link_that_leads_nowhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    for name in ("gone", "gone/mine"):
        with pytest.raises(SchedlabError, match=f"the results folder {name}: gone is a link"):
            results_name(name, tmp_path / "checkout")
        done = CliRunner().invoke(main, ["import", "bundle.zip", "--results", name])
        assert done.exit_code == 2 and "leads nowhere" in done.output, done.output
