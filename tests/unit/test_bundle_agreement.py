"""What `import` refuses, `verify` calls damaged and `bundle` does not pack. SYNTHETIC."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_factory import as_is, packed
from click.testing import CliRunner
from record_factory import put
from test_import_hostile import edited, unpacked

from schedlab.bundle import open as opening
from schedlab.bundle.importing import import_bundle
from schedlab.bundle.pack import pack
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.results.digests import file_digest
from schedlab.results.records import lineage

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
    assert seen == {".json", ".yaml"}
