"""The command `schedlab diff`: text in 100 columns, JSON, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from diff_factory import (
    CONFIGURED,
    IMAGE,
    REPETITIONS,
    edited,
    make_results,
    record_path,
    trial,
    write_trials,
)

from schedlab.cli.main import main


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, arguments)])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("command") / "a")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, results: Path) -> Path:
    """More packages than are shown, another configuration, slower trials, one of them failed."""

    def more(record: dict) -> None:
        record["realised"]["packages"] = [f"package-{number:02}=1" for number in range(40)]

    other = edited(results, tmp_path_factory.mktemp("command") / "b", IMAGE, more)
    record = json.loads(record_path(other, CONFIGURED).read_text())
    lines = [f"Key{number}={number}" for number in range(40)] + ["LongKey=" + "x" * 200]
    record["realised"]["configuration"] = {"slurm.conf": "\n".join(lines)}
    record_path(other, CONFIGURED).write_text(json.dumps(record))
    rows = [trial(other, number) | {"makespan_s": 20.0 + number} for number in REPETITIONS]
    failed = trial(other, 5) | {"valid": False}
    for row in rows:
        # Other trials than those of the first: the tables must not be older than the records.
        row["lineage"] = f"other {row['trial']}"
        path = other / f"trials/slurm-n1/burst/{row['repetition']}/record.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"lineage": row["lineage"]}))
    write_trials(other, [*rows, failed])
    return other


def test_the_same_folder(results: Path) -> None:
    done = run(results, results)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "no difference"


def test_another_run_of_the_same(results: Path, tmp_path: Path) -> None:
    other = make_results(tmp_path / "b", identity="deadbeef", run="4242", vnet=5)
    rows = [trial(other, number) | {"lineage": f"other {number}"} for number in REPETITIONS]
    for number, row in enumerate(rows, 1):
        path = other / f"trials/slurm-n1/burst/{number}/record.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"lineage": row["lineage"]}))
    write_trials(other, rows)
    done = run(results, other)
    assert done.exit_code == 0, done.output
    last = done.output.splitlines()[-1]
    # Four of the eight quantities were recorded; nothing is claimed about the others.
    assert last == (
        "infrastructure does not differ; outcomes: no difference shown, 4 with n too small"
    )


def test_text_fits_into_100_columns_and_counts_what_it_leaves_out(
    results: Path, changed: Path
) -> None:
    done = run(results, changed)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert not [line for line in lines if len(line) > 100 and "xxx" not in line]
    assert "  ... and 24 more lines (--full shows them)" in lines
    assert "package-00" in done.output and "package-39" not in done.output
    assert "burst on slurm-n1 (valid trials: A 4 of 4, B 4 of 5)" in lines
    makespan = lines.index(next(line for line in lines if line.startswith("  Makespan, s")))
    assert lines[makespan].split() == ["Makespan,", "s", "10", "22.5", "×2.25", "B", "is", "larger"]
    assert lines[makespan + 1].count("[") == 3
    assert " ".join(lines[-2:]) == (
        "infrastructure differs; outcomes: 1 differ, 1 cell with other numbers of invalid trials,"
        " 4 with n too small"
    )


def test_full_shows_everything(results: Path, changed: Path) -> None:
    output = run(results, changed, "--full").output
    assert "more lines" not in output
    assert "package-39" in output and "Key39=39" in output
    # A line of a configuration file is shown as it is.
    assert "+LongKey=" + "x" * 200 in output


def test_json_has_everything(results: Path, changed: Path) -> None:
    done = run(results, changed, "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["schema"] == "schedlab.diff/3" and found["differs"]
    assert (found["a"], found["b"]) == (str(results), str(changed))
    packages = found["infrastructure"]["changes"]["packages"]
    assert len(packages) == 42
    assert packages[-1] == {"places": [IMAGE], "key": "slurmctld", "a": "24.11.5-4", "b": None}
    (configuration,) = found["infrastructure"]["configuration"]
    assert configuration["name"] == "slurm.conf" and "+Key39=39" in configuration["lines"]
    (cell,) = found["outcomes"]["cells"]
    assert (cell["valid"], cell["trials"]) == ({"a": 4, "b": 4}, {"a": 4, "b": 5})
    makespan = next(q for q in cell["quantities"] if q["quantity"] == "makespan")
    effect = makespan["effect"]
    assert (makespan["verdict"], effect["kind"], effect["paired"]) == ("larger", "ratio", False)
    assert effect["estimate"] == pytest.approx((21 * 22 * 23 * 24) ** 0.25 / 10)
    assert 2 < effect["low"] < effect["high"] < 2.5 and effect["p"] < 0.05


def test_one_part_only(results: Path, changed: Path, tmp_path: Path) -> None:
    machines = run(results, changed, "--infrastructure", "--json")
    assert json.loads(machines.output)["outcomes"] is None
    outcomes = run(results, changed, "--outcomes", "--json")
    assert json.loads(outcomes.output)["infrastructure"] is None
    # The part that is not compared may be missing.
    bare = make_results(tmp_path / "bare")
    (bare / "tables" / "trials.parquet").unlink()
    assert run(bare, bare).exit_code == 2
    assert run(bare, bare, "--infrastructure").exit_code == 0


@pytest.mark.parametrize("option", ["--infrastructure", "--outcomes"])
def test_trouble_is_2_and_named_on_stderr(results: Path, tmp_path: Path, option: str) -> None:
    done = run(results, tmp_path, option)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert str(tmp_path) in done.stderr and "remedy:" in done.stderr
    assert run(results, tmp_path / "absent", option).exit_code == 2
