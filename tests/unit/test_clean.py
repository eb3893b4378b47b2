"""`make clean` removes a results folder that schedlab made, and nothing else."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from schedlab.cli.clean import remove
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.invocation import results_name
from schedlab.paths import CHECKOUT
from schedlab.storage.marks import MARK, begin_run, entries, mark, require_own, sign


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The parts of a checkout that `make clean` reads, with two results folders."""
    root = tmp_path / "lab"
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".snakemake").mkdir()
    (root / "workflow").mkdir()
    shutil.copytree(CHECKOUT / "workflow" / "schedlab", root / "workflow" / "schedlab")
    shutil.copy(CHECKOUT / "Makefile", root)
    for name in ("scripts/with-environment", "envs/environment.txt"):
        (root / name).parent.mkdir()
        shutil.copy(CHECKOUT / name, root / name)
    command = root / ".venv" / "bin" / "schedlab"
    command.write_text(f'#!/bin/sh\nPYTHONPATH=workflow exec {sys.executable} -m schedlab "$@"\n')
    command.chmod(0o755)
    for name in ("old", "results", "old results"):
        made(root / name)
    return root


def made(folder: Path) -> Path:
    """A results folder as a run leaves it."""
    sign(folder)
    (folder / "report.html").write_text("a report")
    return folder


def clean(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    names = {name: text for name, text in os.environ.items() if not name.startswith("SCHEDLAB")}
    return subprocess.run(
        ["make", "clean", *arguments],
        cwd=checkout, env=names | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_removes_the_results_and_says_so(checkout: Path) -> None:
    done = clean(checkout)
    assert done.returncode == 0, done.stderr
    assert not (checkout / "results").exists() and not (checkout / ".snakemake").exists()
    assert "removed results\n" in done.stdout and ".snakemake\n" in done.stdout
    assert clean(checkout).returncode == 0, "nothing to remove is no failure"


def test_where_there_are_no_such_results_nothing_is_removed(checkout: Path) -> None:
    done = clean(checkout, "RESULTS=nonexistent")
    assert "nothing to remove: there is no nonexistent\n" in done.stdout and not done.returncode
    assert (checkout / ".snakemake").is_dir() and (checkout / "results").is_dir()


def test_the_schedlab_of_another_checkout_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make clean` finds it where a checkout has no environment and another's is activated."""
    notes = tmp_path / "of-schedlab/.snakemake/metadata"
    notes.mkdir(parents=True)
    here = tmp_path / "here"
    results = made(here / "results")
    (here / "Snakefile").touch()
    monkeypatch.setattr("schedlab.paths.CHECKOUT", tmp_path / "of-schedlab")
    monkeypatch.chdir(here)
    done = CliRunner().invoke(main, ["clean", "--results", "results"])
    assert done.exit_code != 0 and "remedy: run `make setup` here first" in done.output
    assert notes.is_dir() and entries(results)


def test_files_of_others_in_the_results_stay_and_are_named(checkout: Path) -> None:
    results = checkout / "results"
    for name in ("thesis/text.tex", "notes.txt", "trials/a/b/1/record.json", ".report.html.12"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("years of work")
    (checkout / "elsewhere").mkdir()
    (checkout / "elsewhere" / "kept").touch()
    (results / "images").symlink_to("../elsewhere")
    done = clean(checkout)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in results.iterdir()) == ["notes.txt", "thesis"]
    assert (results / "thesis" / "text.tex").exists() and (checkout / "elsewhere/kept").exists()
    assert "left results/notes.txt" in done.stdout and "left results/thesis" in done.stdout
    assert "removed results/trials\n" in done.stdout and "removed results\n" not in done.stdout
    done = clean(checkout)
    assert done.returncode and "is not removed" in done.stderr, "it is the user's folder now"


WEAK = {
    ".lock": "",
    "toolchain.json": '{"tools": {}, "schema": "rust-toolchain/1"}',
    ".snakemake.json": '{"outputs": {}, "schema": 1}',
    ".run.json": '{"at_work": []}',
    "scratch/job/lock": "",
    "imported/x/origin.json": "{}",
    "conformance/trixie/.lock": "",
}
"""Files as other programs write them, under names that schedlab uses too."""


@pytest.mark.parametrize("name", WEAK)
def test_a_name_alone_is_no_mark(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    for file, text in {name: WEAK[name], "figures/mine.svg": "mine", "logs/mine": ""}.items():
        (other / file).parent.mkdir(parents=True, exist_ok=True)
        (other / file).write_text(text)
    done = CliRunner().invoke(main, ["clean", "--results", str(other)])
    assert done.exit_code == 1 and "is not removed" in done.output, done.output
    assert (other / "figures" / "mine.svg").exists() and (other / "logs" / "mine").exists()
    with pytest.raises(SchedlabError, match="holds nothing that says"):
        require_own(other)


def test_the_mark_of_another_program_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("of another program")
    with pytest.raises(SchedlabError, match="holds .lock"):
        mark(tmp_path)
    sign(tmp_path)
    assert (tmp_path / ".lock").read_text() == "of another program"


def test_results_that_only_have_the_empty_lock_of_an_older_release_are_marked(
    tmp_path: Path,
) -> None:
    (tmp_path / ".lock").touch()
    mark(tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "wait.svg").touch()
    require_own(tmp_path)


def test_a_stage_without_a_run_leaves_the_mark_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a run would refuse the folder as that of another program."""
    results = tmp_path / "results"
    experiments = tmp_path / "experiments.yaml"
    experiments.write_text(
        "{name: mine, nodes: [1], repetitions: 1, schedulers: [slurm],"
        " placement: {oversubscribe: true}, workloads: [{name: burst, kind: burst, jobs: 2}]}"
    )
    given = ["--experiments", str(experiments), "--results", str(results), "--workload", "burst"]
    given += ["--nodes", "1", "--repetition", "1", "--output"]
    seen = []

    def write(*_: object) -> None:
        seen.append(results.exists())
        if results.exists():
            require_own(results)
            (results / "traces").mkdir()
            (results / "traces" / "burst-n1-r1.json").touch()

    monkeypatch.setattr("schedlab.stages.trace.write_trace", write)
    done = CliRunner().invoke(main, ["trace-workload", *given, str(tmp_path / "trace.json")])
    assert done.exit_code == 0 and seen == [False], done.output
    trace = results / "traces" / "burst-n1-r1.json"
    done = CliRunner().invoke(main, ["trace-workload", *given, str(trace)])
    assert done.exit_code == 0 and seen == [False, True], done.output
    require_own(results)
    (results / ".lock").unlink()
    done = CliRunner().invoke(main, ["trace-workload", *given, str(trace)])
    assert done.exit_code == 1 and "holds traces" in done.output


def test_clean_leaves_what_a_run_on_other_results_uses(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    held = begin_run(checkout / "old")
    try:
        done = clean(checkout)
    finally:
        for handle in held:
            os.close(handle)
    assert done.returncode == 0, done.stderr
    assert not (checkout / "results").exists() and (checkout / ".snakemake").is_dir()
    assert "a run on other results" in done.stdout
    made(checkout / "results")
    done = clean(checkout)
    assert done.returncode == 0 and not (checkout / ".snakemake").exists(), done.stdout


@pytest.mark.parametrize("file", ["thesis.tex", "images/cat.png", ".lock", ".git/HEAD"])
def test_a_folder_of_others_does_not_become_results(tmp_path: Path, file: str) -> None:
    """A run would mark it as schedlab's, and `make clean` would remove the user's files."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("of another program")
    with pytest.raises(SchedlabError, match=f"holds {file.partition('/')[0]}") as error:
        require_own(tmp_path)
    assert "empty folder" in str(error.value.remedy)


LOCK = MARK.decode()
RECORD = '{"schema": "schedlab.record/1", "tools": {}}'


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".gitignore": "*", ".gitkeep": "", "lost+found/x": ""},
        {".lock": LOCK, "notes.txt": "mine"},
        # Results of older releases, whose locks are empty, of a bundle, and of parts.
        {".lock": ""},
        {".lock": "", "toolchain.json": RECORD, "trials/a/b/1/record.json": "{}"},
        {".snakemake.json": '{"schema": "schedlab.state/1"}', "report.html": ""},
        {".run.json": '{"schema": "schedlab.run/1"}'},
        {"imported/x/origin.json": '{"schema": "schedlab.import/1"}'},
        {"conformance/trixie/.lock": LOCK},
        {"one/.lock": LOCK, "two/toolchain.json": RECORD},
    ],
)
def test_results_stay_usable(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    require_own(tmp_path)
    require_own(tmp_path / "absent")


OWN = ("config", "workflow", "tests", "scripts", "docs", "envs", "profiles", "resources", ".ci")
PROGRAMS = (".git", ".github", ".venv", ".snakemake", ".git/mine", ".snakemake/mine", "link")


@pytest.mark.parametrize("name", [*OWN, *PROGRAMS, "./tests/", "docs/../tests"])
def test_folders_of_the_checkout_are_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for own in (*OWN, *PROGRAMS[:-1]):
        made(tmp_path / own)
    (tmp_path / "link").symlink_to("docs")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchedlabError, match="of the checkout, or in it"):
        results_name(name, tmp_path)
    assert results_name("docs/mine", tmp_path) == "docs/mine"


def test_every_folder_of_the_sources_is_known(tmp_path: Path) -> None:
    done = subprocess.run(
        ["git", "ls-tree", "-d", "--name-only", "HEAD"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert {*done.stdout.split()} <= {*OWN, *PROGRAMS}


def test_a_blank_in_the_name_removes_nothing_else(checkout: Path) -> None:
    done = clean(checkout, "RESULTS=old results")
    assert done.returncode == 0, done.stderr
    assert not (checkout / "old results").exists()
    assert (checkout / "old").exists() and (checkout / "results").exists()


def test_an_empty_name_is_not_the_default_folder(checkout: Path) -> None:
    done = clean(checkout, "RESULTS=")
    assert done.returncode and "--results: it has no value" in done.stderr
    assert (checkout / "results").exists() and (checkout / ".snakemake").exists()


def test_refuses_a_folder_of_the_environment(checkout: Path) -> None:
    other = checkout.parent / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    done = clean(checkout, RESULTS=str(other))
    assert done.returncode and "is not removed" in done.stderr and "remedy:" in done.stderr
    assert (other / "thesis.tex").exists() and (checkout / ".snakemake").exists()


@pytest.mark.parametrize(
    "name", ["..", "/", ".", "workflow", "tests", "link", "link/", "../other", "f"]
)
def test_refuses_what_is_no_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    checkout, other = tmp_path / "lab", tmp_path / "other"
    # A run with a foolish name leaves its marks there too.
    for folder in (checkout / "workflow", checkout / "tests", checkout / "old"):
        made(folder)
    for folder in (tmp_path, checkout):
        sign(folder)
    other.mkdir()
    (other / ".lock").write_text("of another program")
    (checkout / "f").touch()
    (checkout / "link").symlink_to("old")
    monkeypatch.setattr("schedlab.paths.CHECKOUT", checkout)
    monkeypatch.chdir(checkout)
    kept = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(main, ["clean", "--results", name])
    assert done.exit_code == 1 and "is not removed" in done.output and "remedy:" in done.output
    assert sorted(tmp_path.rglob("*")) == kept


def test_refuses_results_that_a_run_works_on(tmp_path: Path) -> None:
    results = made(tmp_path / "results")
    with (results / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = CliRunner().invoke(main, ["clean", "--results", str(results)])
    assert done.exit_code == 1 and "a run works on it" in done.output
    assert (results / "report.html").exists()


@pytest.mark.parametrize(("state", "said"), [("there", "doctor"), ("missing", "setup doctor")])
def test_doctor_sets_up_only_what_is_missing(checkout: Path, state: str, said: str) -> None:
    """A check must not install anything where it can run; it says what is missing."""
    log = checkout / "log"
    program = checkout / ".venv" / "bin" / "schedlab"
    text = f'#!/bin/sh\n[ "$1" = --version ] || echo "$1" >> {log}\n'
    setup = checkout / "scripts" / "setup"
    setup.write_text(f"#!/bin/sh\necho setup >> {log}\ncp {checkout}/kept {program}\n")
    for path in (checkout / "kept", program):
        path.write_text(text)
    for path in (checkout / "kept", program, setup):
        path.chmod(0o755)
    if state == "missing":
        program.unlink()
    done = subprocess.run(["make", "doctor"], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert log.read_text().split() == said.split()


def test_results_whose_only_import_was_undone_stay_usable(tmp_path: Path) -> None:
    (tmp_path / "imported").mkdir()
    require_own(tmp_path)
    (tmp_path / "imported" / "mine.txt").touch()
    with pytest.raises(SchedlabError, match="holds imported"):
        require_own(tmp_path)


def test_an_import_does_not_make_results_of_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    linked = tmp_path.with_name("linked")
    linked.symlink_to(CHECKOUT / "docs")
    for folder in (tmp_path, CHECKOUT / "docs", linked):
        done = CliRunner().invoke(main, ["import", "bundle.zip", "--results", str(folder)])
        assert done.exit_code and "the results folder" in done.output + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_folders_nested_too_deep_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise RecursionError

    monkeypatch.setattr("schedlab.cli.clean.shutil.rmtree", refuse)
    with pytest.raises(SchedlabError, match="nested too deep"):
        remove(tmp_path)


def test_files_that_were_being_written_go_and_those_of_an_editor_stay(tmp_path: Path) -> None:
    for name in (".experiments.yaml.0123456789abcdef", ".experiments.yaml.swp"):
        (tmp_path / name).touch()
    own, others = entries(tmp_path)
    assert [path.name for path in own] == [".experiments.yaml.0123456789abcdef"]
    assert [path.name for path in others] == [".experiments.yaml.swp"]


def test_results_over_a_link_of_another_user_are_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").symlink_to("elsewhere")
    owner = os.geteuid() or 12345
    os.chown(tmp_path / "results", owner, -1, follow_symlinks=False)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(SchedlabError, match="a link that another user made"):
        require_own(tmp_path / "results")


def test_a_conformance_run_does_not_make_results_of_a_folder_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.svg").touch()
    begun: list[Path] = []

    def run(_: Path, results: Path) -> list[object]:
        begun.append(results)
        raise SchedlabError("enough")

    monkeypatch.setattr("schedlab.conformance.run", run)
    done = CliRunner().invoke(main, ["conformance", "trixie", "--results", str(tmp_path)])
    assert done.exit_code == 1 and "holds figures" in done.output and not begun, done.output
    done = CliRunner().invoke(main, ["conformance", "trixie", "--results", str(tmp_path / "new")])
    assert "enough" in done.output and begun == [tmp_path / "new" / "conformance" / "trixie"]
    require_own(tmp_path / "new")
