"""What `import` refuses, `verify` calls damaged and `bundle` does not pack. SYNTHETIC."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_factory import analyse, as_is, packed, small_experiment
from click.testing import CliRunner
from record_factory import put
from test_import_hostile import edited, unpacked

from schedlab.bundle import open as opening
from schedlab.bundle.importing import import_bundle
from schedlab.bundle.pack import pack
from schedlab.bundle.verify import unpack
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.results.digests import file_digest
from schedlab.results.records import lineage
from schedlab.stages.context import Context

TRIAL = "trials/slurm-n1/burst/1"
CONFIGURED = "clusters/slurm-n1/configured/record.json"


def again(folder: Path, name: str, edit: Callable[[Any], object]) -> None:
    """Change a record, and give it the lineage that fits what it says now."""

    def change(record: Any) -> Any:
        edit(record)
        return record | {"lineage": lineage(record)}

    edited(folder, name, change)


def of_trial(*path: str, to: Any) -> Callable[[Path], None]:
    """Forge one value of a trial's record."""

    return lambda results: again(
        results, f"{TRIAL}/record.json", lambda record: put(record, path, to)
    )


def other_duration(results: Path) -> None:
    edited(results, f"{TRIAL}/record.json", lambda told: told | {"phases": {"clock": 1.0}})


def other_settings(results: Path) -> None:
    again(results, CONFIGURED, lambda told: told["settings"].update(variant="another"))


def other_tables(results: Path) -> None:
    again(results, "tables/record.json", lambda told: told.update(outputs={}))


def no_snapshot(results: Path) -> None:
    """Change a parent too, and name it anew in every trial."""
    again(results, CONFIGURED, lambda told: told.update(outputs={}))
    parent = json.loads((results / CONFIGURED).read_text())
    named = {"lineage": parent["lineage"], "record": file_digest(results / CONFIGURED)}
    for number in (1, 2, 3):
        again(
            results,
            f"trials/slurm-n1/burst/{number}/record.json",
            lambda told: told["parents"]["configured"].update(named),
        )


def failed_driver(results: Path) -> None:
    path = results / TRIAL / "driver/driver.json"
    edited(results, f"{TRIAL}/driver/driver.json", lambda told: told | {"failure": "it broke"})
    of_trial("outputs", "driver/driver.json", to=file_digest(path))(results)


def failed_verdict(results: Path) -> None:
    of_trial("verdict", to={"valid": False, "reasons": ["a guest died"]})(results)


def other_figure(results: Path) -> None:
    (results / "figures/wait.svg").write_text("<svg/>")


def other_report(results: Path) -> None:
    (results / "report.html").write_text("a better one")


def no_record_of_a_figure(results: Path) -> None:
    (results / "figures/wait.record.json").write_text("{")


def rewritten(name: str, edit: Callable[[str], str]) -> Callable[[Path], None]:
    """Change a file of a trial, and its digest in the trial's record."""

    def forge(results: Path) -> None:
        path = results / TRIAL / name
        path.write_text(edit(path.read_text()))
        of_trial("outputs", name, to=file_digest(path))(results)

    return forge


def told_by_driver(**values: Any) -> Callable[[Path], None]:
    return rewritten(
        "driver/driver.json", lambda text: json.dumps(json.loads(text) | values) + "\n"
    )


def nothing_submitted(results: Path) -> None:
    rewritten("driver/submissions.jsonl", lambda _: "")(results)


def all_unfinished(results: Path) -> None:
    nothing_submitted(results)
    told_by_driver(unfinished=list(range(6)))(results)


def without_stamps(results: Path) -> None:
    all_unfinished(results)
    rewritten("stamps.jsonl", lambda _: "")(results)


def in_1970(results: Path) -> None:
    def earlier(text: str) -> str:
        rows = [json.loads(line) for line in text.splitlines()]
        return "".join(json.dumps(row | {"submit_ns": 5}) + "\n" for row in rows)

    rewritten("driver/submissions.jsonl", earlier)(results)


def stamps_of_later(results: Path) -> None:
    def later(text: str) -> str:
        rows = [json.loads(line) for line in text.splitlines()]
        for row in rows:
            row["clock_ns"] += 10**13
        return "".join(json.dumps(row) + "\n" for row in rows)

    rewritten("stamps.jsonl", later)(results)


def short_limit(results: Path) -> None:
    told = json.loads((results / TRIAL / "driver/driver.json").read_text())
    told_by_driver(end_ns=told["start_ns"] + 7 * 10**9)(results)
    of_trial("conditions", "limit", to=1)(results)


def guest_in_1970(results: Path) -> None:
    for moment in ("start", "end"):
        path = ("conditions", "clock", "head", moment, "offset_ns")
        of_trial(*path, to=-17 * 10**17)(results)


def trace_of_another(results: Path) -> None:
    """Name the trace of another repetition, with its right digests."""
    other = json.loads((results / "trials/slurm-n1/burst/2/record.json").read_text())
    of_trial("parents", "trace", to=other["parents"]["trace"])(results)


def jobs_of_another(results: Path) -> None:
    path = results / TRIAL / "trace.json"
    path.write_text(path.read_text().replace('"user": "u1"', '"user": "u2"'))
    of_trial("outputs", "trace.json", to=file_digest(path))(results)


FORGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "lineage": (other_duration, f"{TRIAL}/record.json: lineage is '"),
    "parent": (other_settings, "parents.configured.record is '"),
    "tables": (other_tables, "tables/record.json: outputs.jobs.parquet is None, but the SHA-256"),
    "figure": (other_figure, "figures/wait.record.json: outputs.wait.svg is '"),
    "report": (other_report, "report.record.json: outputs.report.html is '"),
    "record of a figure": (no_record_of_a_figure, "figures/wait.record.json"),
    "output": (of_trial("outputs", "trace.json", to="0" * 64), "trace.json"),
    "no snapshot": (
        no_snapshot,
        f"{CONFIGURED} is damaged: outputs is {{}}, but a stage configure",
    ),
    "processors": (
        of_trial("conditions", "declared", "head", "cpus", to=99),
        f"conditions.declared.head.cpus is 99, but {CONFIGURED} has settings.head.vcpus 1",
    ),
    "accelerator": (
        of_trial("conditions", "accelerator", to="kvm"),
        "conditions.accelerator is 'kvm', but accelerator.json has 'tcg'",
    ),
    "steal": (
        of_trial("conditions", "host", "steal", to=5000.0),
        "conditions.host.steal is 5000.0 s, more than 2 processors have in",
    ),
    "campaign": (
        of_trial("conditions", "campaign", to="9999-01-01T00:00:00+00:00"),
        "conditions.campaign is '9999-01-01T00:00:00+00:00', after created ('2026-",
    ),
    "clock": (of_trial("conditions", "clock", to={}), "conditions lacks clock"),
    "outputs": (of_trial("outputs", to={}), "outputs is {}, but a trial that came so far"),
    "nothing submitted": (nothing_submitted, "it has no row of job 0, but unfinished of driver"),
    "all unfinished": (all_unfinished, "it has no row of job 0, which has stamps"),
    "without stamps": (without_stamps, "but the scheduler's own records (native) have '"),
    "in 1970": (in_1970, "driver/submissions.jsonl is damaged: submit of job 0 is "),
    "stamps of later": (stamps_of_later, "stamps.jsonl is damaged: started of job "),
    "limit": (short_limit, "conditions.limit is 1 s, but by driver/driver.json the jobs"),
    "never up": (told_by_driver(timed_out=True), "driver.json is damaged: timed_out is true after"),
    "no parents": (of_trial("parents", to={}), "parents is {}, but a stage trial always has"),
    "report of nothing": (
        lambda results: again(results, "report.record.json", lambda told: told.update(parents={})),
        "report.record.json is damaged: parents is {}, but a stage report always has tables",
    ),
    "unfinished": (told_by_driver(unfinished=[[1]]), "unfinished[0]"),
    "no trace": (
        rewritten("trace.json", lambda text: text.replace('"schema"', '"scheme"')),
        f"{TRIAL}/trace.json is damaged: ",
    ),
    "other trace": (trace_of_another, "parents.trace.path is 'traces/burst-n1-r2.record.json', bu"),
    "other jobs": (jobs_of_another, "outputs.trace.json is '"),
    "created": (
        lambda results: edited(
            results, f"{TRIAL}/record.json", lambda told: told | {"created": "2199-01-01T00:00:00"}
        ),
        "created is '2199-01-01T00:00:00', after the present time",
    ),
    "other experiment": (
        of_trial("trial", "variant", to="x"),
        "trial.variant is 'x', but experiments.yaml has 's",
    ),
    "guest's clock": (
        guest_in_1970,
        "conditions.clock.head.end.offset_ns is -1700000000000000000, by which",
    ),
    "failed driver": (failed_driver, "failure is 'it broke', but verdict.reasons of record.json"),
    "failed verdict": (
        failed_verdict,
        "verdict.reasons is ['a guest died'], but conditions.health",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_three_commands_refuse_the_same(kind: str, tmp_path: Path) -> None:
    forge, said = FORGED[kind]
    folder = unpacked(tmp_path / "theirs")
    forge(folder / "results")
    bundle = as_is(folder, tmp_path / "b.tar.zst")
    done = CliRunner().invoke(main, ["verify", str(bundle)])
    assert done.exit_code == 1 and "sound" not in done.output
    assert f"{bundle}: results/" in done.stderr and said in done.stderr
    assert "remedy: " in done.stderr and "schedlab-bundle-" not in done.stderr
    with pytest.raises(SchedlabError) as refused:
        import_bundle(bundle, tmp_path / "results", "lab-b")
    assert done.stderr == f"schedlab: {refused.value}\n"
    results = Path(shutil.copytree(packed().results, tmp_path / "own"))
    forge(results)
    output = tmp_path / "own.tar.zst"
    with pytest.raises(SchedlabError) as unpackable:
        pack(results, output, root=packed().checkout)
    assert said in unpackable.value.message and f"{results}/" in unpackable.value.message
    assert str(results) in str(unpackable.value.remedy)
    assert not output.exists()


@pytest.mark.parametrize("kind", ["packed", "unpacked"])
def test_a_bundle_that_was_packed_here_is_sound(kind: str, tmp_path: Path) -> None:
    path = packed().path if kind == "packed" else unpacked(tmp_path / "theirs")
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(main, ["verify", str(path)])
    assert done.exit_code == 0 and ": sound: " in done.stdout, done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_verify_unpacks_only_what_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    own = opening.require_agreement

    def compared(results: Path, *rest: Any) -> list[str]:
        seen.update(path.suffix for path in results.rglob("*") if path.is_file())
        return own(results, *rest)

    monkeypatch.setattr(opening, "require_agreement", compared)
    opening.verify_bundle(packed().path)
    assert seen == {".json", ".jsonl", ".yaml", ".log", ".txt", ".conf"}


def test_trials_that_the_experiment_of_a_bundle_does_not_name_are_refused(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    path = folder / "results/experiments.yaml"
    path.write_text(path.read_text().replace("repetitions: 3", "repetitions: 2"))
    done = CliRunner().invoke(main, ["verify", str(as_is(folder, tmp_path / "b.tar.zst"))])
    assert done.exit_code == 1 and "experiments.yaml is of another experiment than" in done.stderr
    assert "trials/slurm-n1/burst/3/record.json is not a trial of synthetic" in done.stderr


def test_a_link_among_the_own_trials_is_named_with_what_to_do(tmp_path: Path) -> None:
    results = Path(shutil.copytree(packed().results, tmp_path / "own"))
    (results / TRIAL).rename(tmp_path / "elsewhere")
    (results / TRIAL).symlink_to(tmp_path / "elsewhere")
    words = ["bundle", "--results", str(results), "--output", str(tmp_path / "b.tar.zst")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and f"{results / TRIAL} is a symbolic link" in done.stderr
    assert "cp -a" in done.stderr and "author" not in done.stderr


def test_a_results_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(packed().results)
    assert pack(tmp_path / "link", tmp_path / "b.tar.zst", root=packed().checkout)


def test_imports_are_judged_as_the_results_themselves(tmp_path: Path) -> None:
    results = Path(shutil.copytree(packed().results, tmp_path / "own"))
    folder, _ = import_bundle(packed().path, results, "lab-b")
    output = tmp_path / "b.tar.zst"
    with pytest.raises(SchedlabError, match="parents lacks imported/lab-b/trials/") as caught:
        pack(results, output, root=packed().checkout)
    assert "bring the results up to date" in str(caught.value.remedy)
    analyse(Context(small_experiment(), results))
    pack(results, output, root=packed().checkout)
    told = of_trial("conditions", "accelerator", to="kvm")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    unpack(output, theirs)
    told(theirs / "results/imported/lab-b")
    forged = as_is(theirs, tmp_path / "forged.tar.zst")
    done = CliRunner().invoke(main, ["verify", str(forged)])
    assert done.exit_code == 1, done.output
    assert f"results/imported/lab-b/{TRIAL}/record.json" in done.stderr
    assert "conditions.accelerator is 'kvm'" in done.stderr
    told(folder)
    with pytest.raises(SchedlabError, match=f"imported/lab-b/{TRIAL}") as caught:
        pack(results, tmp_path / "c.tar.zst", root=packed().checkout)
    assert "import the bundle again" in str(caught.value.remedy)
