"""Forged bundles that agree with their manifest: what their records say is not of their files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundle_factory import as_is, packed, small_experiment
from click.testing import CliRunner
from record_factory import put
from test_import_hostile import TRIAL, edited, seal, unpacked

from schedlab.bundle import agreement
from schedlab.bundle.importing import import_bundle
from schedlab.bundle.verify import unpack
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES
from schedlab.paths import figure_record
from schedlab.results.digests import file_digest
from schedlab.results.records import lineage
from schedlab.tables.imported import sound_origins

RECORD = f"{TRIAL}/record.json"


def refusal(bundle: Path, results: Path) -> SchedlabError:
    """Why a bundle is not imported; nothing of it is there then."""
    with pytest.raises(SchedlabError) as caught:
        import_bundle(bundle, results, "lab-b")
    assert not list(results.rglob("*"))
    assert caught.value.message.removeprefix("record ").startswith(f"{bundle}: results/")
    assert "schedlab-bundle-" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["trace.json", "stamps.jsonl", "prometheus/prometheus.yml"])
@pytest.mark.parametrize("kind", ["packed", "unpacked"])
def test_a_file_that_its_record_does_not_describe_is_not_imported(
    name: str, kind: str, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "theirs")
    before = json.loads((folder / RECORD).read_text())["outputs"][name]
    with (folder / TRIAL / name).open("ab") as handle:
        handle.write(b"\n")
    bundle = as_is(folder, tmp_path / "b.tar.zst")
    if kind == "unpacked":
        (bundle, place) = (tmp_path / "again", bundle)
        bundle.mkdir()
        unpack(place, bundle)
    error = refusal(bundle, tmp_path / "results")
    assert f"{RECORD}: outputs.{name} is '{before[:12]}" in error.message
    assert error.message.endswith("is not the file that the stage wrote")
    assert "ask its author for another" in str(error.remedy)


def test_what_was_hashed_for_the_manifest_is_not_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(path: Path) -> str:
        raise AssertionError(f"{path} is hashed again")

    for module in ("schedlab.results.store", "schedlab.results.records"):
        monkeypatch.setattr(f"{module}.file_digest", again)
    assert import_bundle(packed().path, tmp_path, "lab-b")[1] == 3


@pytest.mark.parametrize("record", ["as it was", "without outputs", "absent"])
@pytest.mark.parametrize("command", ["render", "diff", "import"])
def test_tables_that_no_record_describes_are_not_read(
    command: str, record: str, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "theirs")
    path = folder / "results/tables/trials.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("makespan_s")
    better = pa.array([1.0] * table.num_rows)
    pq.write_table(table.set_column(place, table.schema.field(place), better), path)
    if record == "without outputs":
        edited(folder, "results/tables/record.json", lambda told: told | {"outputs": {}})
    elif record == "absent":
        (folder / "results/tables/record.json").unlink()
    bundle = str(as_is(folder, tmp_path / "b.tar.zst"))
    words = {
        "render": [bundle, "--output", str(tmp_path / "out")],
        "diff": [str(packed().path), bundle],
        "import": [bundle, "--results", str(tmp_path / "results")],
    }[command]
    done = CliRunner().invoke(main, [command, *words])
    assert done.exit_code in (1, 2) and "results/tables/record.json" in done.output
    assert "ask its author for another one" in done.output
    assert not (tmp_path / "out").exists() and not (tmp_path / "results").exists()


def test_a_record_that_was_changed_by_hand_is_not_imported(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    edited(folder, RECORD, lambda record: record | {"duration": 1.0})
    import_bundle(as_is(folder, tmp_path / "sound.tar.zst"), tmp_path / "sound", "lab-b")

    def faster(record: Any) -> Any:
        record["conditions"]["accelerator"] = "kvm"
        return record

    edited(folder, RECORD, faster)
    error = refusal(as_is(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"{RECORD}: lineage is " in error.message
    assert "its content does not agree with its lineage digest" in error.message


CONFIGURED = "results/clusters/slurm-n1/configured/record.json"


def test_a_trial_of_another_cluster_is_not_imported(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")

    def other(record: Any) -> Any:
        record["settings"] = {"name": "another"}
        return record | {"lineage": lineage(record)}

    edited(folder, CONFIGURED, other)
    error = refusal(as_is(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"{RECORD}: parents.configured.record is " in error.message
    assert "is another record than the one named" in error.message
    assert "`make bundle`" in str(error.remedy)


def test_a_parent_that_was_made_again_with_the_same_outcome_is_the_same(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    edited(folder, CONFIGURED, lambda record: record | {"duration": 99.0})
    bundle = as_is(folder, tmp_path / "b.tar.zst")
    assert import_bundle(bundle, tmp_path / "results", "lab-b")[1] == 3


def set_at(*path: str, to: Any) -> Callable[[Any], Any]:
    return lambda record: put(record, path, to)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (set_at("conditions", "host", "cpu", to=["x"]), "conditions.host.cpu is ['x'], not text"),
        (set_at("conditions", "end_ns", to=-1), "conditions.end_ns is -1, not within 0 to"),
        (set_at("conditions", "end_ns", to=1), "conditions.end_ns is 1, before start_ns (179"),
        (set_at("verdict", "valid", to=False), "verdict.valid is False, but reasons is []"),
        (set_at("stage", to="image"), "stage is 'image', in the folder of a trial"),
        (set_at("trial", "nodes", to=0), "trial.nodes is 0, not within 1 to"),
        (set_at("trial", "workload", to="esp"), "but trial is that of 'slurm-n1.esp.1'"),
    ],
)
def test_nonsense_in_a_sealed_record_is_not_imported(
    edit: Callable[[Any], Any], said: str, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "theirs")
    edited(folder, RECORD, edit)
    error = refusal(seal(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"{RECORD} is damaged: " in error.message and said in error.message


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 5000])
def test_a_number_that_is_none_is_not_imported(number: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    text = (folder / RECORD).read_text()
    (folder / RECORD).write_text(text.replace('"steal": 0.0', f'"steal": {number}'))
    error = refusal(as_is(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"{RECORD} is damaged: " in error.message and len(error.message) < 500


def test_a_trial_is_not_counted_twice(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    other = folder / "results/trials/slurm-n1/burst/2"
    shutil.rmtree(other)
    shutil.copytree(folder / TRIAL, other)
    error = refusal(as_is(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert "burst/2/record.json is damaged: id is 'slurm-n1.burst.1', in the" in error.message


def test_a_measurement_is_not_counted_twice_under_another_name(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    other = folder / "results/trials/slurm-n1/burst/2"
    trace = json.loads((other / "record.json").read_text())["parents"]["trace"]
    shutil.rmtree(other)
    shutil.copytree(folder / TRIAL, other)
    made = folder / "results" / trace["path"]
    shutil.copyfile(other / "trace.json", made.with_name("burst-n1-r2.json"))
    digest = file_digest(other / "trace.json")

    def retraced(record: Any) -> Any:
        record["outputs"]["burst-n1-r2.json"] = digest
        return record | {"lineage": lineage(record)}

    edited(folder, f"results/{trace['path']}", retraced)
    lineage_of_trace = json.loads(made.read_text())["lineage"]

    def renamed(record: Any) -> Any:
        record["parents"]["trace"] = trace | {
            "lineage": lineage_of_trace,
            "record": file_digest(made),
        }
        record["id"] = "slurm-n1.burst.2"
        record["trial"] |= {"repetition": 2, "order": 1}
        record["conditions"]["host"]["load_start"] += 0.1
        return record | {"lineage": lineage(record)}

    edited(folder, "results/trials/slurm-n1/burst/2/record.json", renamed)
    error = refusal(as_is(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert "burst/2/record.json: outputs.driver/submissions.jsonl is " in error.message
    assert f"as that of {RECORD.removeprefix('results/')}" in error.message


REALISED = {
    "nodes": ["x"],
    "configuration": [1],
    "tuning": "x",
    "software": {"slurmctld": 1},
    "packages": [1],
    "domain_xml": {"head": 1},
    "terraform_outputs": {"x": 1},
    "qemu": "root",
    "disk_sha256": 1,
}


@pytest.mark.parametrize("key", REALISED)
def test_facts_that_no_report_can_show_are_not_imported(key: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    edited(folder, CONFIGURED, set_at("realised", key, to=REALISED[key]))
    error = refusal(as_is(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"{CONFIGURED} is damaged: realised.{key}" in error.message


LINES = {
    "submit_ns": ("driver/submissions.jsonl", lambda row: row | {"submit_ns": "1790000000"}),
    "accepted_ns": ("driver/submissions.jsonl", lambda row: row | {"accepted_ns": -5}),
    "job": ("driver/submissions.jsonl", lambda row: row | {"job": str(row["job"])}),
    "rank": ("stamps.jsonl", lambda row: row | {"rank": -1}),
    "clock_ns": ("stamps.jsonl", lambda row: row | {"clock_ns": row["clock_ns"] + 0.5}),
    "node": ("stamps.jsonl", lambda row: row | {"node": ["compute1"]}),
}


@pytest.mark.parametrize("key", LINES)
def test_rows_of_a_trial_that_are_nonsense_are_not_imported(key: str, tmp_path: Path) -> None:
    name, edit = LINES[key]
    folder = unpacked(tmp_path / "theirs")
    path = folder / TRIAL / name
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [*kept[:1], *map(edit, kept[1:])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    error = refusal(seal(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"/{name}, line 2, is damaged: {key} is " in error.message
    assert "ask its author for another" in str(error.remedy)


def without(*names: str) -> Callable[[Any], Any]:
    def edit(record: Any) -> Any:
        kept = {k: v for k, v in record["conditions"].items() if k not in names}
        return record | {"conditions": kept}

    return edit


@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        ("record.json", without("clock"), "conditions lacks clock, although no failure"),
        ("record.json", without("start_ns", "end_ns"), "conditions lacks start_ns, although"),
        ("record.json", set_at("trial", "nodes", to=64), "but that of 'slurm-n1.burst.1' is 'trac"),
        ("driver/driver.json", set_at("end_ns", to="1"), "end_ns is '1', not a whole number"),
        ("driver/driver.json", set_at("timed_out", to="no"), "timed_out is 'no', neither true"),
        ("driver/driver.json", lambda told: told | {"concurrency": [1]}, "concurrency is [1], not"),
        ("translations.json", lambda _: {}, "submissions lacks job 0, which is in trace.json"),
        (
            "translations.json",
            lambda told: {"submissions": told["submissions"][1:]},
            "submissions lacks job 0, which is in trace.json",
        ),
        (
            "translations.json",
            lambda told: {"submissions": told["submissions"] + told["submissions"][:1]},
            "submissions has job 0, unlike trace.json",
        ),
    ],
)
def test_files_of_a_trial_that_contradict_each_other_are_not_imported(
    name: str, edit: Callable[[Any], Any], said: str, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "theirs")
    edited(folder, f"{TRIAL}/{name}", edit)
    error = refusal(seal(folder, tmp_path / "b.tar.zst"), tmp_path / "results")
    assert f"/{name} is damaged: " in error.message and said in error.message
    assert "ask its author for another" in str(error.remedy)


def test_an_import_that_was_forged_afterwards_is_left_out(tmp_path: Path) -> None:
    results = Path(shutil.copytree(packed().results, tmp_path / "results"))
    folder, _ = import_bundle(packed().path, results, "lab-b")
    name = RECORD.removeprefix("results/")

    def forged(record: Any) -> Any:
        record["conditions"]["clock"] = {}
        return record | {"lineage": lineage(record)}

    edited(folder, name, forged)
    why = sound_origins(results, small_experiment()).left_out["lab-b"]
    assert f"{name} is damaged: conditions lacks clock" in why
    assert why.endswith("to end this message, remove imported/lab-b from the results")


def test_the_bundle_that_was_made_here_agrees_in_every_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record that is imported is compared, those of all stages too."""
    checked: list[str] = []
    own = agreement.check_record

    def noted(store: Any, name: str) -> Any:
        checked.append(name)
        return own(store, name)

    monkeypatch.setattr(agreement, "check_record", noted)
    folder, _ = import_bundle(packed().path, tmp_path, "lab-b")
    copied = {p.relative_to(folder).as_posix() for p in folder.rglob("*record.json")}
    analysis = {"tables/record.json", "report.record.json", *map(figure_record, FIGURES)}
    assert copied | analysis | {"toolchain.json", "accelerator.json"} == set(checked)
    assert file_digest(folder / "toolchain.json")
