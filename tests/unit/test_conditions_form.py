"""The form of a trial's conditions, wherever its record is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from record_factory import put
from test_validity import KEY
from trial_factory import make_trial

from schedlab.errors import SchedlabError
from schedlab.results.form_checks import release_number, shown
from schedlab.results.records import load_record, write_json
from schedlab.tables.kept import kept_trial
from schedlab.tables.trial_rows import read_trial


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = make_trial(tmp_path_factory.mktemp("sound"), KEY)
    record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    moment = {
        "start_ns": record["conditions"]["start_ns"],
        "end_ns": record["conditions"]["end_ns"],
    }
    record["conditions"] |= {
        "bridge": "2026-09-22T14:00:00+00:00",
        "reset": "restore",
        "resident_mib": 900,
        "unit_cost": {"start": {"head": {"slurmctld": {"cpu_seconds": 1.0, "memory_bytes": 5.0}}}},
        "fault": {
            "kind": "restart", "node": "", "at_s": 1.0, "lasts_s": None, "commands": ["a", "b"],
            "restarts": ["slurmctld"], "begin": moment, "end": None, "within": False,
            "said": "two\nlines", "failure": None,
        },
    }  # fmt: skip
    for at in record["conditions"]["clock"].values():
        at["start"]["at_ns"], at["end"]["at_ns"] = moment["start_ns"] - 5, moment["end_ns"] + 5
    return record


def read(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    write_json(folder / "record.json", record)
    return load_record(folder / "record.json")


def changed(record: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The record with another value at a dotted place below its conditions."""
    result: dict[str, Any] = json.loads(json.dumps(record))
    put(result["conditions"], place.split("."), value)
    return result


TEXTS = ("accelerator", "campaign", "bridge", "reset", "host.cpu", "host.kernel", "host.system",
         "host.boot", "machine.start.head.boot", "fault.kind")  # fmt: skip
COUNTS = ("host.cores", "host.memory_mib", "start_ns", "end_ns", "resume_skew_ns", "resident_mib",
          "declared.head.cpus", "machine.end.head.memory_mib", "clock.head.start.uncertainty_ns",
          "clock.head.end.at_ns", "host.during.swap.in", "fault.begin.start_ns")  # fmt: skip
NUMBERS = ("host.load_start", "host.load_end", "host.steal", "host.during.processor.busy",
           "host.during.processor.steal", "host.during.pressure.memory_full", "oversubscription",
           "restore_seconds", "scrape_interval", "limit", "observed_seconds", "scraped.node/head",
           "daemon_cost.start.head.slurmctld.cpu_seconds", "fault.at_s",
           "unit_cost.start.head.slurmctld.memory_bytes")  # fmt: skip
LISTS = ("health.after", "not_taken", "fault.restarts", "fault.commands")
MAPPINGS = ("host", "host.during", "host.during.processor", "host.during.emulators.head",
            "declared", "machine", "machine.start", "machine.end.head", "clock", "clock.head",
            "clock.head.start", "daemon_cost", "daemon_cost.end", "daemon_cost.end.head",
            "unit_cost", "scraped", "health", "fault", "fault.begin")  # fmt: skip
NONSENSE = [
    *((place, value) for place in TEXTS for value in (["x"], 1, "", " ", "a\nb", {}, True)),
    *((place, value) for place in COUNTS for value in (-1, "1", 0.5, True, [], 1 << 63)),
    *((place, value) for place in NUMBERS for value in (-1e-9, "1", True, {})),
    *((place, value) for place in LISTS for value in ("x", [1], {}, None)),
    *((place, value) for place in MAPPINGS for value in (["x"], "x", 1, False)),
    *((place, 0) for place in ("oversubscription", "scrape_interval", "limit", "host.cores")),
    ("clock.head.start.offset_ns", "1"),
    ("clock.head.start", {}),
    ("clock.head.end.at_ns", 7),
    ("host.during.emulators.head.run_seconds", "1"),
    ("host.during.own", None),
    ("host.during.processor", {"busy": 1.0}),
    ("machine.start.head", {"cpus": 1, "memory_mib": 900}),
    ("end_ns", 5),
    ("fault.begin.end_ns", 5),
    ("fault.within", "no"),
]


def test_a_whole_record_is_read_as_it_is(sound: dict[str, Any], tmp_path: Path) -> None:
    assert read(sound, tmp_path) == sound


@pytest.mark.parametrize("place", ["host.cpu", "host.cores", "host.load_start", "campaign"])
def test_what_was_not_known_may_be_null(sound: dict[str, Any], place: str, tmp_path: Path) -> None:
    read(changed(sound, place, None), tmp_path)


@pytest.mark.parametrize("place", ["host.during.own", "host.during.load",
                                   "host.during.emulators.head.run_seconds"])  # fmt: skip
def test_times_of_processes_that_ended_may_fall(
    sound: dict[str, Any], place: str, tmp_path: Path
) -> None:
    read(changed(sound, place, -0.5), tmp_path)


def test_nonsense_is_damage(sound: dict[str, Any], tmp_path: Path) -> None:
    for place, value in NONSENSE:
        with pytest.raises(SchedlabError) as caught:
            read(changed(sound, place, value), tmp_path)
            pytest.fail(f"{place} = {value!r} is read")
        message = caught.value.message
        assert message.startswith(f"record {tmp_path}/record.json is damaged: conditions.{place}")
        lacking = isinstance(value, dict)
        assert lacking or shown(value) in message, message
        assert caught.value.remedy == f"remove {tmp_path}/record.json and run the stage again"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("duration", -1.0, "duration is -1.0, not at least 0"),
        ("verdict", {"valid": 1, "reasons": []}, "verdict.valid is 1, neither true nor false"),
        ("verdict", {"valid": True, "reasons": ["x"]}, "valid is True, but reasons is ['x']"),
        ("id", "x" * 10_000, "id is 'xxxxxxxxxxxx"),
        ("outputs", {"a": 1}, "outputs.a is 1, not a digest"),
        ("created", "1", "created is '1', not a date with a time"),
    ],
)
def test_the_rest_of_a_record_is_told_by_key_and_value(
    sound: dict[str, Any], key: str, value: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SchedlabError) as caught:
        read(sound | {key: value}, tmp_path)
    assert said in caught.value.message and len(caught.value.message) < len(str(tmp_path)) + 300


@pytest.mark.parametrize("schema", ["schedlab.record/" + "9" * 5000, "schedlab.record/²", [1], {}])
def test_an_odd_schema_is_told_briefly(sound: dict[str, Any], schema: Any, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="no release of schedlab wrote it") as caught:
        read(sound | {"schema": schema}, tmp_path)
    assert len(caught.value.message) < len(str(tmp_path)) + 300


def test_the_number_of_a_format() -> None:
    assert release_number("a/12", "a/") == 12
    assert [release_number(odd, "a/") for odd in ("a/", "b/1", "a/-1", 1, None)] == [None] * 5


def test_a_local_trial_is_to_be_run_again_and_an_import_is_not(tmp_path: Path) -> None:
    folder = make_trial(tmp_path, KEY)
    record = json.loads((folder / "record.json").read_text())
    write_json(folder / "record.json", changed(record, "end_ns", -1))
    for reader in (kept_trial, read_trial):
        for origin, remedy in (("", "again"), ("lab-b", "remove imported/lab-b")):
            with pytest.raises(SchedlabError, match="conditions.end_ns is -1") as caught:
                reader(folder, origin)
            assert remedy in str(caught.value.remedy)
