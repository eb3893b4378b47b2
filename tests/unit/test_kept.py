"""Results that were damaged, or copied in part, are no finding about the scheduler. SYNTHETIC."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from trial_factory import make_experiment, make_trial

from schedlab.cli.main import main
from schedlab.config import TrialKey
from schedlab.config.load import write_experiment
from schedlab.dashboards.serve import chosen_trials
from schedlab.errors import SchedlabError
from schedlab.outside import permission
from schedlab.paths import RECORD
from schedlab.results import records
from schedlab.results.digests import file_digest
from schedlab.results.records import load_record
from schedlab.results.store import Store
from schedlab.storage.marks import sign
from schedlab.tables import kept, trial_rows, verdicts
from schedlab.tables.kept import kept_trial
from schedlab.timeline.trial import read_timeline
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.grafana import download_grafana

KEYS = [TrialKey("slurm-n1", "burst", number) for number in (1, 2, 3)]
HURT = KEYS[1].id
ONE = {"workloads": [{"name": "burst", "kind": "burst", "jobs": 4, "runtime": 0}], "nodes": [1]}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    experiment = make_experiment(**ONE)
    for order, key in enumerate(KEYS):
        make_trial(tmp_path, key, experiment, order=order)
    write_experiment(experiment, tmp_path / "experiments.yaml")
    return tmp_path


def hurt(results: Path) -> Path:
    return results / "trials/slurm-n1/burst/2"


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def listed(results: Path, *options: str) -> Result:
    own = str(results / "experiments.yaml")
    words = ["trials", "--results", str(results), "--experiments", own, *options]
    return CliRunner().invoke(main, words)


def other(folder: Path) -> Path:
    """Another experiment than that of the results."""
    path = folder / "config" / "experiments.yaml"
    path.parent.mkdir()
    write_experiment(make_experiment(**{**ONE, "name": "another", "nodes": [7]}), path)
    return path


def test_a_named_folder_is_read_with_its_own_experiment(
    results: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("checkout")
    default = other(elsewhere)
    monkeypatch.chdir(elsewhere)
    words = ["trials", "--results", str(results)]
    done = CliRunner().invoke(main, words)
    assert "3 of 3 trials valid; 0 have not run" in done.output and done.exit_code == 0
    # Who names an experiment gets it, and hears of the trials that it does not name.
    done = CliRunner().invoke(main, [*words, "--experiments", str(default)])
    assert "0 of 0 trials valid; 3 have not run" in done.stdout
    assert f"3 trials in {results} not of the experiment another ({default})" in done.stderr
    # A default folder with results of another experiment is not the default experiment's.
    (elsewhere / "results").symlink_to(results)
    assert "3 of 3 trials valid" in CliRunner().invoke(main, ["trials"]).output


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["why"], "schedlab.lineage.snakemake_internals.plan"),
        (["bisect", "--good", "a", "--bad", "b", "makespan"], "schedlab.design.load_experiment"),
    ],
)
def test_a_named_folder_goes_on_with_its_own_experiment(
    results: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    where: str,
) -> None:
    """Another one would be planned, and run, in the folder."""
    elsewhere = tmp_path_factory.mktemp("checkout")
    default, own = other(elsewhere), results / "experiments.yaml"
    monkeypatch.chdir(elsewhere)

    def read(*arguments: object) -> None:
        (file,) = (one for one in arguments if str(one).endswith("experiments.yaml"))
        raise SchedlabError(f"reads {Path(str(file)).resolve()}.")

    monkeypatch.setattr(where, read)
    for options, file in (
        (["--results", str(results)], own),
        (["--results", str(results), "--experiments", str(default)], default),
        (["--results", str(elsewhere / "new")], default),
        # What `snakemake` alone would run.
        ([], default),
    ):
        done = CliRunner().invoke(main, [words[0], *options, *words[1:]])
        assert f"reads {file}." in done.output, done.output


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_record_that_is_no_file_is_damage_and_not_a_trial_to_come(
    results: Path, kind: str
) -> None:
    record = hurt(results) / RECORD
    record.unlink()
    if kind == "link":
        record.symlink_to("nowhere")
    else:
        os.mkfifo(record)
    done = listed(results)
    assert "2 of 2 trials valid; 0 have not run; 1 cannot be read" in done.stdout
    assert HURT in done.stderr and done.exit_code == 1


@pytest.mark.parametrize("reader", ["is_stopped", "kept_trial"])
def test_a_trial_of_another_user_does_not_hide_the_others(
    results: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    before = getattr(verdicts, reader)
    record = str(hurt(results) / RECORD)

    def closed(path: Path, *rest: Any) -> Any:
        if str(path) in (record, str(hurt(results))):
            raise PermissionError(errno.EACCES, "Permission denied", record)
        return before(path, *rest)

    monkeypatch.setattr(verdicts, reader, closed)
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != record)
    done = listed(results)
    assert "2 of 2 trials valid; 0 have not run; 1 cannot be read" in done.stdout
    assert f"{HURT}: [Errno 13] Permission denied" in done.stderr and done.exit_code == 1
    assert f"remedy: let this user read {record}, or run as" in done.stderr


@pytest.mark.parametrize(("may", "said"), [(False, "let this user read"), (True, "may write")])
def test_the_remedy_for_a_permission_is_of_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may: bool, said: str
) -> None:
    monkeypatch.setattr("os.access", lambda *_: may)
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    assert said in str(permission.remedy(error))
    assert permission.remedy(OSError(errno.ENOSPC, "No space left on device")) is None


def test_disk_does_not_prune_what_the_results_own_experiment_names(
    results: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("checkout")
    other(elsewhere)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("SCHEDLAB_CACHE", str(elsewhere / "cache"))
    sign(results)
    shown = CliRunner().invoke(main, ["disk", "--results", str(results)])
    assert shown.exit_code == 0 and "All of it is needed" in shown.output, shown.output
    done = CliRunner().invoke(main, ["disk", "--results", str(results), "--prune", "--yes"])
    assert done.exit_code == 1 and "--experiments" in done.stderr
    assert hurt(results).is_dir()


def replaced(path: Path, kind: str) -> None:
    """Put something else in the place of a file; a link leads to the same bytes, kept aside."""
    aside = path.with_name("aside")
    path.rename(aside)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            place = os.open(path.parent, os.O_PATH)
            end.bind(f"/proc/self/fd/{place}/{path.name}")
            os.close(place)
    else:
        path.symlink_to(aside.name)


ODD = {"link": "a symbolic link", "pipe": "a named pipe", "socket": "a socket"}


@pytest.mark.parametrize("command", ["trials", "diff"])
@pytest.mark.parametrize(
    "name", ["record.json", "stamps.jsonl", "native", "odd", "samples.json.gz"]
)
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.timeout(60)
def test_what_stands_in_the_place_of_a_file_is_told(
    results: Path, tmp_path_factory: pytest.TempPathFactory, kind: str, name: str, command: str
) -> None:
    path = hurt(results) / name
    if name == "odd":
        path.touch()
    replaced(path, kind)
    if command == "trials":
        done = listed(results)
        assert "2 of 2 trials valid; 0 have not run; 1 cannot be read" in done.stdout
        assert done.exit_code == 1
    else:
        done = CliRunner().invoke(main, ["diff", "--outcomes", str(results), str(results)])
        assert done.exit_code == 2
    assert f"{path} is {ODD[kind]}, where schedlab writes only files" in done.stderr
    assert "it is not followed" in done.stderr and "remedy: copy" in done.stderr


DAMAGE: dict[str, Callable[[Path], object]] = {
    "native": lambda folder: shutil.rmtree(folder / "native"),
    "driver": lambda folder: shutil.rmtree(folder / "driver"),
    "no stamps.jsonl": lambda folder: (folder / "stamps.jsonl").unlink(),
    "empty stamps.jsonl": lambda folder: (folder / "stamps.jsonl").write_text(""),
    "torn stamps.jsonl": lambda folder: torn(folder / "stamps.jsonl"),
    "samples": lambda folder: torn(folder / "samples.json.gz"),
    "other trace.json": lambda folder: (folder / "trace.json").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_and_the_other_trials_are_shown(results: Path, damage: str) -> None:
    DAMAGE[damage](hurt(results))
    done = listed(results)
    assert done.exit_code == 1
    assert "lost" not in done.stdout
    for key in (KEYS[0], KEYS[2]):
        assert f"{key.id}  valid" in done.stdout
    assert "2 of 2 trials valid; 0 have not run; 1 cannot be read" in done.stdout
    assert f"{HURT}: " in done.stderr and RECORD in done.stderr
    assert f"remedy: copy {hurt(results)} again" in done.stderr
    found = json.loads(listed(results, "--json").stdout)
    assert [entry["trial"] for entry in found["damaged"]] == [HURT]
    with pytest.raises(SchedlabError, match=r"is missing|is not the file"):
        read_timeline(Store(results), HURT)


def test_each_damaged_record_is_named(results: Path) -> None:
    torn(hurt(results) / RECORD)
    torn(results / "trials/slurm-n1/burst/3" / RECORD)
    done = listed(results)
    assert done.exit_code == 1
    assert f"{KEYS[0].id}  valid" in done.stdout
    assert KEYS[1].id in done.stderr and KEYS[2].id in done.stderr


def test_the_remedy_for_a_record_of_a_newer_release_is_that_release(results: Path) -> None:
    path = hurt(results) / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": "schedlab.record/99"}))
    with pytest.raises(SchedlabError) as caught:
        read_timeline(Store(results), HURT)
    assert "a newer release" in caught.value.message
    assert caught.value.remedy == "upgrade schedlab to the release that wrote it"
    assert "upgrade schedlab" in listed(results).stderr


def test_what_no_row_is_made_of_may_be_missing(results: Path) -> None:
    """Bundles have no consoles, and no blocks unless they were asked for."""
    record = hurt(results) / RECORD
    content = json.loads(record.read_text())
    content["outputs"] |= {"console/head.log": "0" * 64, "prometheus/block/index": "0" * 64}
    record.write_text(json.dumps(content))
    assert kept_trial(hurt(results)).trial["trial"] == HURT


def test_what_is_checked_is_what_is_read(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that were read again could be another one by then."""
    read: list[Path] = []

    def once(path: Path) -> dict[str, Any]:
        read.append(path)
        return load_record(path)

    for module in (kept, records, trial_rows):
        monkeypatch.setattr(module, "load_record", once)
    kept_trial(hurt(results))
    assert read == [hurt(results) / RECORD]


def test_an_import_is_to_be_imported_again(results: Path) -> None:
    folder = hurt(results)
    (folder / "stamps.jsonl").unlink()
    with pytest.raises(SchedlabError) as caught:
        kept_trial(folder, "lab-b")
    assert "import the bundle again" in (caught.value.remedy or "")


def test_the_trial_that_a_link_leads_to_is_not_to_be_removed(results: Path) -> None:
    shutil.rmtree(hurt(results))
    hurt(results).symlink_to("1")
    done = listed(results)
    assert f"remove the link {hurt(results)} alone" in done.output, done.output
    assert f"{hurt(results)}/record.json" not in done.output


def test_a_trial_of_an_import_is_not_to_be_run_again(results: Path) -> None:
    """Its record is as recorded, but what it says cannot be used."""
    path = hurt(results) / RECORD
    record = json.loads(path.read_text())
    record["conditions"]["clock"] = {}
    for origin, remedy in (("", "run the trial again"), ("lab-b", "remove imported/lab-b")):
        with pytest.raises(SchedlabError) as caught:
            trial_rows.read_trial(hurt(results), origin, record)
        assert remedy in (caught.value.remedy or "")


def test_the_dashboard_leaves_a_damaged_trial_out_and_names_it(results: Path) -> None:
    torn(hurt(results) / "stamps.jsonl")
    told: list[str] = []
    found = chosen_trials(Store(results), [], told.append)
    assert [rows.trial["trial"] for rows in found] == [KEYS[0].id, KEYS[2].id]
    assert len(told) == 1 and told[0].startswith(f"{HURT} is left out: ") and "remedy" in told[0]
    with pytest.raises(SchedlabError, match="stamps.jsonl is not the file"):
        chosen_trials(Store(results), [HURT])


def test_a_torn_block_names_its_trial(results: Path) -> None:
    block = hurt(results) / "prometheus/block/01X"
    block.mkdir(parents=True)
    (block / "index").write_text("whole")
    record = hurt(results) / RECORD
    content = json.loads(record.read_text())
    content["outputs"]["prometheus/block/01X/index"] = file_digest(block / "index")
    record.write_text(json.dumps(content))
    assert len(chosen_trials(Store(results), [])) == 3
    (block / "index").write_text("torn")
    with pytest.raises(SchedlabError, match=r"burst/2/prometheus/block/01X/index is not the file"):
        chosen_trials(Store(results), [HURT])


def test_contradicting_words_of_the_dashboard_are_refused(results: Path) -> None:
    words = ["dashboard", "--results", str(results), "--grafana-key-sha256", "0" * 64]
    url = "https://me:hidden@x stable main"
    done = CliRunner().invoke(main, [*words, "--grafana-repository", url, "--no-grafana"])
    assert done.exit_code == 1 and "contradict" in done.stderr
    with pytest.raises(SchedlabError) as caught:
        download_grafana(Cache(results / "cache"), url, "0" * 64)
    assert "hidden" not in str(caught.value) and "without a user name" in str(caught.value)


def test_names_of_trials_are_in_the_order_of_their_numbers(results: Path) -> None:
    for number in (10, 20):
        shutil.copytree(hurt(results), results / f"trials/slurm-n1/burst/{number}")
    names = [name.rpartition(".")[2] for name in Store(results).trials()]
    assert names == ["1", "2", "3", "10", "20"]


def test_export_overwrites_nothing(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    output = tmp_path_factory.mktemp("output")
    words = ["export", HURT, "--perfetto", "--results", str(results), "--output"]
    first = CliRunner().invoke(main, [*words, str(output)])
    assert first.exit_code == 0, first.output
    before = {path: path.read_bytes() for path in output.iterdir()}
    done = CliRunner().invoke(main, [*words, str(output)])
    assert done.exit_code == 1 and "is there already" in done.stderr
    assert {path: path.read_bytes() for path in output.iterdir()} == before
    (file,) = before
    done = CliRunner().invoke(main, [*words, str(file)])
    assert done.exit_code == 2 and "not a folder" in done.stderr
