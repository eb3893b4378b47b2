"""Places where nothing can be written, and folders in which nothing was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bundle_factory import packed
from click.testing import CliRunner
from trial_factory import make_experiment, make_trial

from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.outside.output import require_place
from schedlab.results.records import write_json
from schedlab.tables.trial_rows import read_trial


@pytest.mark.parametrize("kind", ["/proc/x", "below a file"])
@pytest.mark.parametrize(
    "words",
    [
        ("bundle", "--results", "{results}", "--output", "{place}"),
        ("render", "{bundle}", "--output", "{place}"),
        ("import", "{bundle}", "--results", "{place}"),
        ("export", "--perfetto", "a.b.1", "--results", "{results}", "--output", "{place}"),
        ("analyse", "trace.swf", "--figures", "{place}"),
        ("lock", "flux", "--output", "{place}"),
        ("report", "--results", "{results}", "--output", "{place}"),
        ("toolchain", "--output", "{place}"),
    ],
)  # fmt: skip
def test_a_place_where_nothing_can_be_written_is_named(
    words: tuple[str, ...], kind: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "x") if kind == "below a file" else kind
    values = {"results": packed().results, "bundle": packed().path, "place": place}
    done = CliRunner().invoke(main, [word.format(**values) for word in words])
    option = words[words.index("{place}") - 1]
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit), done.output
    assert f"{option} {place}: " in done.stderr and "remedy: name a f" in done.stderr


def test_an_attempt_leaves_nothing(tmp_path: Path) -> None:
    for kind in ("file", "folder"):
        require_place(tmp_path / "new" / "x", "--output", kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("trials", "--results"),
        ("disk", "--results"),
        ("watch", "--once"),
        ("watch",),
        ("trace", "makespan", "--results"),
    ],
)
def test_an_empty_folder_has_no_results(words: tuple[str, ...], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [*words, str(tmp_path)])
    assert done.exit_code == 2, done.output
    assert f"{tmp_path} has no results: it is empty" in done.stderr and "remedy: run" in done.stderr


@pytest.mark.parametrize("lock", ["", "schedlab.lock/1\n"])
def test_a_run_that_has_just_begun_can_be_watched(lock: str, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(lock)
    done = CliRunner().invoke(main, ["watch", "--once", str(tmp_path)])
    assert done.exit_code in (0, 1) and "has no results" not in done.output


def test_a_scheduler_that_nobody_knows_is_told_of_the_record(tmp_path: Path) -> None:
    experiment = make_experiment()
    folder = make_trial(tmp_path, experiment.trials()[0], experiment)
    path = folder / "record.json"
    write_json(path, _with(path, "nosuch"))
    with pytest.raises(SchedlabError) as caught:
        read_trial(folder)
    assert f"{path}: trial.scheduler is 'nosuch'" in caught.value.message
    assert "if the record is damaged, remove" in str(caught.value.remedy)
    assert "use one of" not in str(caught.value)


def _with(path: Path, scheduler: str) -> dict[str, Any]:
    record = json.loads(path.read_text())
    record["trial"]["scheduler"] = scheduler
    return record
