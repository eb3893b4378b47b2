"""The Flux adapter: translations, and rows from SYNTHETIC and from real records.

data/flux-*.jsonl are of a real instance (flux-core 0.88.0, three brokers named head, compute1 and
compute2), with jobs of every fate.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import flux_factory as made
import pytest

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.schedulers.flux import jobspec, records
from schedlab.schedulers.flux.adapter import JOURNAL
from schedlab.schedulers.rows import collect
from schedlab.workloads import Job, Machine, Trace

DATA = Path(__file__).parent / "data"
FLUX = get_scheduler("flux")
INSTANTS = ("accepted", "allocated", "completed")


def translate(**fields: Any) -> dict[str, Any]:
    job = Job(**({"job": 3, "arrival": 0.5, "nodes": 1, "cpus": 2, "runtime": 1.0} | fields))
    trace = Trace("w", "gang", 1, Machine(4, 2), (replace(job, job=0),))
    return asdict(FLUX.translate(job, trace))


def test_a_job_on_one_node_is_the_payload_itself() -> None:
    spec = translate(walltime=60.2)["request"]["body"]["jobspec"]
    words = "/usr/local/bin/schedlab-payload /var/lib/schedlab/stamps.txt 3 0 1.000000 sleep"
    assert spec["tasks"] == [{"command": words.split(), "slot": "task", "count": {"per_slot": 1}}]
    assert spec["attributes"]["system"]["duration"] == 61
    assert spec["attributes"]["user"] == {"user": "u1"}


def test_a_gang_has_a_rank_on_each_node() -> None:
    spec = translate(nodes=3, cpus=1)["request"]["body"]["jobspec"]
    (node,) = spec["resources"]
    assert (node["type"], node["count"], node.get("exclusive")) == ("node", 3, None)
    assert node["with"][0]["with"] == [{"type": "core", "count": 1}]
    assert '3 "$FLUX_TASK_RANK" 1.000000 sleep' in spec["tasks"][0]["command"][2]


@pytest.mark.parametrize(("nodes", "cpus", "runtime"), [(1, 1, 0.0), (2, 2, 12.5), (1, 2, 0.25)])
def test_a_translation_is_read_back(nodes: int, cpus: int, runtime: float) -> None:
    entry = json.loads(json.dumps(translate(nodes=nodes, cpus=cpus, runtime=runtime)))
    assert FLUX.read_back(entry)[:3] == (nodes, cpus, runtime)


@pytest.mark.parametrize(("priority", "urgency"), [(0, 16), (14, 30), (-15, 1), (3, 19)])
def test_a_priority_is_an_urgency(priority: int, urgency: int) -> None:
    assert translate(priority=priority)["request"]["body"]["urgency"] == urgency


@pytest.mark.parametrize("priority", [15, -16, 1000])
def test_a_priority_that_flux_does_not_have_is_refused(priority: int) -> None:
    job = Job(0, 0.0, 1, 1, 0.0, priority=priority)
    (problem,) = FLUX.cannot(Trace("w", "gang", 1, Machine(1, 1), (job,)))
    assert (problem.key, problem.value) == ("priority", priority)
    assert "only -15 to 14" in problem.what


def collected(
    tmp_path: Path, journal: str = "", logs: str = "", ids: tuple[int | None, ...] = (7,)
) -> list[dict[str, Any]]:
    native = tmp_path / "native"
    native.mkdir(exist_ok=True)
    (native / "journal.jsonl").write_text(journal)
    (native / "eventlogs.jsonl").write_text(logs)
    submissions = [
        {"job": number, "native_id": str(job) if job else None, "returncode": 0 if job else 400,
         "intended_ns": 1, "submit_ns": 2, "accepted_ns": 3, "stderr": "" if job else "too urgent"}
        for number, job in enumerate(ids)
    ]  # fmt: skip
    return collect(FLUX, native, [], [{"job": n} for n in range(len(ids))], submissions)


def test_instants_are_the_event_logs(tmp_path: Path) -> None:
    found = made.resources("compute[1-2]", "1-2", "0-1")
    (row,) = collected(tmp_path, logs=made.log_line(7, made.ended(), found))
    base = round(made.BASE) * 10**9
    assert [row[name] - base for name in INSTANTS] == [100_000_000, 200_000_000, 1_500_000_000]
    assert [row[f"{name}_source"] for name in INSTANTS] == [
        "eventlogs.jsonl: submit (1 us)",
        "eventlogs.jsonl: alloc (1 us)",
        "eventlogs.jsonl: clean (1 us)",
    ]
    assert (row["placement"], row["nodes"], row["cpus"]) == (["compute1", "compute2"], 2, 4)
    assert (row["state"], row["native_state"], row["exit_code"]) == ("COMPLETED", "COMPLETED", 0)


def test_without_event_logs_the_journal_tells(tmp_path: Path) -> None:
    found = made.resources("compute1", "1", "0")
    text = made.journal_lines(7, made.ended(), found)
    # After a restart of the broker the journal is heard again from its beginning.
    (row,) = collected(tmp_path, journal=text + text)
    assert row["completed_source"] == "journal.jsonl: clean (1 us)"
    assert (row["state"], row["placement"], row["cpus"]) == ("COMPLETED", ["compute1"], 1)


def test_the_record_that_has_the_end_counts(tmp_path: Path) -> None:
    journal = made.journal_lines(7, made.ended())
    (row,) = collected(tmp_path, journal, made.log_line(7, made.begun()))
    assert (row["state"], row["completed_source"]) == (
        "COMPLETED", "journal.jsonl: clean (1 us)",
    )  # fmt: skip


def test_a_job_that_a_restarted_broker_no_longer_knows_is_lost(tmp_path: Path) -> None:
    """As a real broker on the head that was killed did: it restarts without the last jobs."""
    journal = made.journal_lines(7, made.ended()[:6]) + made.journal_lines(8, made.ended())
    logs = made.log_line(8, made.ended())
    rows = collected(tmp_path, journal, logs + '{"jobs": 1}\n', ids=(7, 8))
    assert [(row["state"], row["native_state"]) for row in rows] == [
        ("LOST", "start"), ("COMPLETED", "COMPLETED"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "logs",
    [
        "",
        made.log_line(8, made.ended()),
        made.log_line(8, made.ended()) + made.log_line(7, made.begun())[:40],
        # A line that was torn in the middle.
        made.log_line(8, made.ended()) + '{"id": 7, "even\n{"jobs": 2}\n',
    ],
    ids=["no answer", "of an older trial", "cut short", "damaged"],
)
def test_no_job_is_lost_by_records_that_are_not_whole(tmp_path: Path, logs: str) -> None:
    """The broker answers for the facts also where the list of jobs is not loaded."""
    journal = made.journal_lines(7, made.ended()[:6]) + made.journal_lines(8, made.ended())
    (tmp_path / "native").mkdir()
    (tmp_path / "native/facts.json").write_text(json.dumps(made.FACTS))
    rows = collected(tmp_path, journal, logs, ids=(7, 8))
    assert [row["state"] for row in rows] == ["UNFINISHED", "COMPLETED"]


def test_jobs_of_every_other_fate(tmp_path: Path) -> None:
    def excepted(kind: str, note: str = "", severity: int = 0) -> list[dict[str, Any]]:
        problem = made.event(0.5, "exception", type=kind, severity=severity, note=note)
        return [*made.ended(36608)[:6], problem, *made.ended(36608)[6:]]

    fates = {
        11: (made.ended(3 << 8), ("FAILED", "FAILED", 3)),
        12: (made.ended(9), ("FAILED", "FAILED", 137)),
        13: (excepted("cancel"), ("CANCELLED", "exception: cancel", 143)),
        14: (excepted("timeout"), ("TIMEOUT", "exception: timeout", 143)),
        15: (excepted("exec", "node failure on compute2"), ("NODE_FAIL", "exception: exec", 143)),
        16: (excepted("exec", "no such file"), ("FAILED", "exception: exec", 143)),
        17: (excepted("note", severity=4), ("FAILED", "FAILED", 143)),
        18: (made.ended()[:6], ("UNFINISHED", "start", None)),
        19: (made.begun(), ("UNFINISHED", "priority", None)),
        20: ([*made.begun(), made.event(0.2, "exception", type="alloc", severity=0,
                                        note="unsatisfiable"), made.event(0.3, "clean")],
             ("REJECTED", "exception: alloc", None)),
    }  # fmt: skip
    logs = "".join(made.log_line(job, events) for job, (events, _) in fates.items())
    rows = collected(tmp_path, logs=logs, ids=(*fates, None, 99))
    told = [(row["state"], row["native_state"], row["exit_code"]) for row in rows]
    assert told[: len(fates)] == [expected for _, expected in fates.values()]
    assert told[-2:] == [("REJECTED", "too urgent", None), ("LOST", None, None)]


@pytest.mark.parametrize(
    ("note", "state"),
    [
        ('alloc denied due to type="unsatisfiable"', "REJECTED"),
        ('alloc denied due to type="match error"', "FAILED"),
        ("unsatisfiable request: need 3 node(s) with 1 cores each, only 2 eligible", "REJECTED"),
        ("cannot parse jobspec: 'slot'", "REJECTED"),
        ("node count specifies discrete valid values that this scheduler does not support; use a"
         " simple min-max range instead", "REJECTED"),
        ("DEBUG_FAIL_ALLOC", "FAILED"),
        ("", "FAILED"),
    ],
)  # fmt: skip
def test_a_scheduler_that_failed_has_refused_nothing(note: str, state: str) -> None:
    problem = made.event(0.2, "exception", type="alloc", severity=0, note=note)
    events = [*made.begun(), problem, made.event(0.3, "clean")]
    assert records.jobs("", made.log_line(7, events))["7"].state == state


def cancelled(at: float, note: str = "", userid: int = 1000) -> list[dict[str, Any]]:
    """Events of a job that ran, and was cancelled."""
    context = {"type": "cancel", "severity": 0, "note": note, "userid": userid}
    return [*made.ended()[:6], made.event(at, "exception", **context), made.event(4.9, "clean")]


@pytest.mark.parametrize("journal", [True, False])
def test_what_a_stopping_broker_cancels_was_given_up(tmp_path: Path, journal: bool) -> None:
    """As rc1 of flux-core 0.88 does at every shutdown, also one that is clean."""
    base = round(made.BASE) * 10**9
    # The host's clock, which the head's is 10 s behind.
    moment = {"start_ns": base + 12 * 10**9, "end_ns": base + 15 * 10**9}
    clock = {"head": {"start": {"offset_ns": -10 * 10**9}}}
    waits = made.event(3.0, "exception", type="cancel", severity=0, note="", userid=1000)
    fates = {
        11: cancelled(3.0),
        # Before the broker was stopped, after it, with a note, by another user, while it waits.
        12: cancelled(1.9),
        13: cancelled(5.1),
        14: cancelled(3.0, note="enough"),
        15: cancelled(3.0, userid=0),
        16: [*made.begun(), waits, made.event(4.0, "clean")],
    }
    line = made.journal_lines if journal else made.log_line
    text = "".join(line(job, events) for job, events in fates.items())
    texts = (text, "") if journal else ("", text)
    record = tmp_path / "record.json"
    for fault, given_up in (
        ({"kind": "restart", "begin": moment, "end": None}, [3 * 10**9, *[None] * 5]),
        ({"kind": "drain", "begin": moment}, [None] * 6),
        ({"kind": "restart", "begin": None}, [None] * 6),
    ):
        record.write_text(json.dumps({"conditions": {"fault": fault, "clock": clock}}))
        rows = collected(tmp_path, *texts, ids=tuple(fates))
        assert {row["state"] for row in rows} == {"CANCELLED"}
        found = [row["interrupted"] and row["interrupted"] - base for row in rows]
        assert found == given_up
    for damaged in ("{", "[]", '{"conditions": 1}'):
        record.write_text(damaged)
        assert collected(tmp_path, *texts)[0]["interrupted"] is None


def test_phases_are_between_events_of_one_clock() -> None:
    logs = made.log_line(1, made.ended()) + made.log_line(2, made.ended()[:6]) + "{torn"
    found = records.phases(logs)
    assert found == pytest.approx(
        {
            "phase.submit_to_alloc": 0.1,
            "phase.alloc_to_start": 0.1,
            "phase.start_to_finish": 1.1,
            "phase.finish_to_clean": 0.1,
        }
    )
    real = records.phases((DATA / "flux-eventlogs.jsonl").read_text())
    assert 0 < real["phase.shell.init_to_shell.start"] < 1


FATES = [
    ("COMPLETED", 0, ["compute1"], 1),
    ("COMPLETED", 0, ["compute1", "compute2"], 4),
    ("FAILED", 3, ["compute1"], 1),
    ("FAILED", 137, ["compute2"], 1),
    ("TIMEOUT", 142, ["compute1"], 1),
    ("REJECTED", None, [], None),
    ("FAILED", 127, ["compute2"], 1),
    ("CANCELLED", 143, ["compute1"], 1),
    ("NODE_FAIL", 143, ["compute1", "compute2"], 4),
    ("COMPLETED", 0, ["compute1"], 1),
]
"""Of the jobs in data/flux-*.jsonl, in order of id."""


def without_sources(job: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(job).items() if not key.endswith("_source")}


def test_real_records_tell_every_fate_and_both_kinds_tell_the_same() -> None:
    journal, logs = ((DATA / f"flux-{n}.jsonl").read_text() for n in ("journal", "eventlogs"))
    found = records.jobs("", logs)
    order = sorted(found, key=int)
    told = [(j.state, j.exit_code, j.placement, j.cpus) for j in (found[job] for job in order)]
    assert told == FATES
    heard = records.jobs(journal, "")
    assert heard.keys() == found.keys()
    for number, job in found.items():
        assert without_sources(job) == without_sources(heard[number])
        if job.allocated is not None:
            assert (job.accepted or 0) < job.allocated < (job.completed or 0)


def test_the_driver_follows_the_journal() -> None:
    assert FLUX.completion() == {"log": JOURNAL, "pattern": records.ENDED}
    assert FLUX.plan_extra()["api"]["url"] == f"unix:{jobspec.SOCKET}"
    assert FLUX.native_files()["journal.jsonl"] == JOURNAL


def test_what_only_fluxion_has_is_refused_with_sched_simple() -> None:
    (problem,) = FLUX.settings_problems({"policy": "easy"})
    assert (problem.key, problem.remedy) == (
        "policy", "add scheduler: fluxion, or remove this key",
    )  # fmt: skip
    assert FLUX.settings_problems({"policy": "easy", "Scheduler": "fluxion"}) == []
    (problem,) = FLUX.settings_problems({"policy": "luck"})
    assert problem.what.startswith("not one of fcfs")


def test_the_installation_shapes_the_image_and_not_the_configuration(tmp_path: Path) -> None:
    settings = FLUX.merged_settings({"prefix": str(tmp_path)})
    assert not {"prefix", "sha256"} & set(FLUX.variables(settings)["flux_settings"])
    assert FLUX.unavailable() and "settings.flux.prefix" in str(FLUX.unavailable())
    assert get_scheduler("flux", {"prefix": str(tmp_path)}).unavailable() is None


def test_no_secret_is_made_on_this_machine(tmp_path: Path) -> None:
    FLUX.make_secrets(tmp_path, {"head": "10.0.100.10"})
    assert list(tmp_path.iterdir()) == []
    assert FLUX.secret_variables(tmp_path) == {}


def test_rows_have_every_instant_with_its_source(tmp_path: Path) -> None:
    (row,) = collected(tmp_path, logs=made.log_line(7, made.ended()))
    for name in TIMESTAMPS:
        assert (row[name] is None) == (row[f"{name}_source"] is None)
