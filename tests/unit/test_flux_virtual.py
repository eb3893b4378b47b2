"""Virtual nodes of Flux, on SYNTHETIC records (see flux_factory)."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import flux_factory as made
import pytest
import yaml
from config_factory import ROOT, load, refusal
from test_guest_flux import PROGRAM

from schedlab import design
from schedlab.config import HostFacts
from schedlab.schedulers import get_scheduler, installation
from schedlab.schedulers.contents import read_folder
from schedlab.schedulers.equivalence import differences, of_records, of_trace
from schedlab.schedulers.flux.latencies import latencies
from schedlab.schedulers.rows import collect
from schedlab.workloads.trace import Job, Machine, Trace

FLUX = get_scheduler("flux")
BASE = round(made.BASE * 1e9)
PLAYED = {"start": 0.25, "duration": 1.1}
TABLE = {"nodes": 8, "carriers": 1, "delays": "none", "start": [], "completion": []}
GANG = Job(0, 0.0, 2, 1, 0.85)


def at(seconds: float) -> int:
    return BASE + round(seconds * 1e6) * 1000


@pytest.fixture(scope="module")
def program() -> Iterator[ModuleType]:
    """The part of the submitter that plays jobs."""
    path = PROGRAM.with_name("schedlab_flux_virtual.py")
    specification = importlib.util.spec_from_file_location("schedlab_flux_virtual", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    yield module
    sys.modules.pop("schedlab_flux_virtual", None)


def jobspecs(jobs: tuple[Job, ...], trial: str = "flux-virtual-n2/w/1") -> list[dict[str, Any]]:
    found = FLUX.submissions(Trace("w", "gang", 1, Machine(2, 2), jobs), trial)
    return [asdict(submission)["request"]["body"]["jobspec"] for submission in found]


def jobspec(job: Job = GANG) -> dict[str, Any]:
    (found,) = jobspecs((job,))
    return found


def equal_jobs(count: int) -> tuple[Job, ...]:
    return tuple(Job(number, 0.0, 1, 1, 0.85) for number in range(count))


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_played_job_takes_the_payloads_time(program: ModuleType, nodes: int) -> None:
    plain = jobspec(Job(0, 0.0, nodes, 1, 2.5))
    spec = json.loads(program.mocked(json.dumps(plain), TABLE))
    attributes = spec["attributes"]
    assert attributes["system"].pop("exec") == {"test": {"run_duration": "2.500000s"}}
    assert attributes["user"].pop("played") == {
        "start": 0.0,
        "duration": 2.5,
        "completion": 0.0,
    }
    # It asks for all else that the trace asks for: this proves the translation of what runs.
    assert spec == plain
    assert program.played(plain) is None


def test_a_job_of_no_time_ends_all_the_same(program: ModuleType) -> None:
    """As it does not in Flux, which sets no timer of no time."""
    spec = json.loads(program.mocked(json.dumps(jobspec(Job(0, 0.0, 1, 1, 0.0))), TABLE))
    assert spec["attributes"]["system"]["exec"]["test"]["run_duration"] == "0.000001s"


def test_delays_are_drawn_from_their_intervals(program: ModuleType) -> None:
    table = TABLE | {"start": [[0.0, 0.1], [10.0, 10.1]], "completion": [[0.5, 0.5]]}
    texts = [json.dumps(spec) for spec in jobspecs(equal_jobs(400))]
    found = [program.played(json.loads(program.mocked(text, table))) for text in texts]
    starts = [one["start"] for one in found]
    assert all(0 <= late <= 0.1 or 10 <= late <= 10.1 for late in starts)
    assert 100 < sum(late > 5 for late in starts) < 300
    for one in found:
        assert one["completion"] == 0.5
        assert one["duration"] == pytest.approx(one["start"] + 0.85 + 0.5)


def test_each_trial_draws_delays_of_its_own(program: ModuleType) -> None:
    """Though every trial begins with the memory, and so the generators, of one snapshot."""
    table = TABLE | {"start": [[0.0, 1.0], [1.0, 9.0]], "completion": [[0.1, 0.5]]}
    saved = random.getstate()

    def played(trial: str) -> list[Any]:
        random.setstate(saved)
        texts = [json.dumps(spec) for spec in jobspecs(equal_jobs(6), trial)]
        return [program.played(json.loads(program.mocked(text, table))) for text in texts]

    first = played("flux-virtual-n2/w/1")
    # Of one trial, for example one that is run again, they are the same.
    assert played("flux-virtual-n2/w/1") == first
    # Those of another repetition, and of an equal cluster with the same trace, are others.
    for other in ("flux-virtual-n2/w/2", "flux-virtual-n2-c2/w/1"):
        found = played(other)
        for name in ("start", "completion"):
            values = {one[name] for one in (*first, *found)}
            assert len(values) == 12


def test_a_job_that_does_not_say_by_what_its_delays_are_drawn_is_refused(
    program: ModuleType,
) -> None:
    spec = jobspec()
    del spec["attributes"]["user"]["draw"]
    with pytest.raises(ValueError, match="no job with a payload: KeyError: 'draw'"):
        program.mocked(json.dumps(spec), TABLE)


@pytest.mark.parametrize("text", ["{}", "[]", '{"tasks": [{"command": ["/bin/true"]}]}'])
def test_a_job_without_the_payload_is_refused(program: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match="no job with a payload"):
        program.mocked(text, TABLE)


def log(**changed: float) -> list[dict[str, Any]]:
    """Event log of a played job; `changed` has instants (s) of events, None for one that is not."""
    times = {"alloc": 0.2, "start": 0.3, "finish": 1.4} | changed
    return [
        event | {"timestamp": made.BASE + times[event["name"]]} if event["name"] in times else event
        for event in made.ended()
    ]


def collected(
    tmp_path: Path, events: list[dict[str, Any]], played: Any = PLAYED, journal: bool = False
) -> dict[str, Any]:
    found = made.resources("compute[1-2]", "1-2", "0")
    native = tmp_path / "native"
    native.mkdir(exist_ok=True)
    if journal:
        (native / "journal.jsonl").write_text(made.journal_lines(7, events, found, played))
    else:
        (native / "eventlogs.jsonl").write_text(made.log_line(7, events, found, played))
    (translated,) = FLUX.submissions(Trace("w", "gang", 1, Machine(2, 2), (GANG,)))
    driver = [{"job": 0, "native_id": "7", "returncode": 0, "intended_ns": BASE, "submit_ns": BASE}]
    (one,) = collect(FLUX, native, [], [asdict(translated)], driver)
    return one


@pytest.mark.parametrize("journal", [False, True])
def test_start_and_end_of_a_played_job_are_fluxs_events(tmp_path: Path, journal: bool) -> None:
    row = collected(tmp_path, log(), journal=journal)
    assert (row["started"], row["finished"]) == (at(0.55), at(1.4))
    assert row["rank_started"] == [at(0.55)] * 2
    assert row["rank_finished"] == [at(1.4)] * 2
    for name in ("started", "finished"):
        assert row[f"{name}_source"].startswith("journal" if journal else "eventlogs")
        assert "no payload ran" in row[f"{name}_source"]
    # What only a payload can tell is absent.
    assert (row["ranks"], row["launch_skew_ns"]) == (0, None)
    assert (row["state"], row["allocated"], row["completed"]) == ("COMPLETED", at(0.2), at(1.5))


def test_what_was_played_is_what_the_trace_asks_for(tmp_path: Path) -> None:
    row = collected(tmp_path, log())
    assert differences(of_trace(Trace("w", "gang", 1, Machine(2, 2), (GANG,))),
                       of_records([row], BASE)) == []  # fmt: skip


def test_the_delay_of_the_completion_is_no_part_of_the_job(tmp_path: Path) -> None:
    """On real nodes it comes after the payload's last stamp."""
    played = {"start": 0.25, "duration": 1.1, "completion": 0.2}
    row = collected(tmp_path, log(), played)
    assert (row["started"], row["finished"]) == (at(0.55), at(1.2))
    assert (row["rank_finished"], row["completed"]) == ([at(1.2)] * 2, at(1.5))
    # One that was ended before has no end but that, and none ends before it starts.
    cancelled = [made.event(0.9, "exception", type="cancel", severity=0, note="")]
    row = collected(tmp_path, [*log(finish=1.0)[:6], *cancelled, *log(finish=1.0)[6:]], played)
    assert (row["state"], row["finished"]) == ("CANCELLED", at(1.0))
    row = collected(tmp_path, log(), played | {"completion": 9.0})
    assert row["finished"] == row["started"] == at(0.55)


def test_a_start_that_was_written_down_late_makes_no_job_shorter(tmp_path: Path) -> None:
    row = collected(tmp_path, log(start=0.31))
    assert row["finished"] - row["started"] == 850_000_000
    # But no job begins before it has its nodes.
    row = collected(tmp_path, log(alloc=0.305, start=0.31))
    assert row["started"] == at(0.305 + 0.25)


def test_a_job_that_was_ended_before_its_payload_would_have_started_has_no_start(
    tmp_path: Path,
) -> None:
    cancelled = [*log(finish=0.4)[:6],
                 made.event(0.35, "exception", type="cancel", severity=0, note=""),
                 *log(finish=0.4)[6:]]  # fmt: skip
    row = collected(tmp_path, cancelled)
    assert (row["state"], row["started"], row["finished"]) == ("CANCELLED", None, at(0.4))
    assert row["rank_started"] == []
    row = collected(tmp_path, log()[:6])
    assert (row["state"], row["started"], row["finished"]) == ("UNFINISHED", at(0.55), None)


@pytest.mark.parametrize("played", [3, "x", {"start": "1", "duration": 1}, {"start": -1.0},
                                    {"start": True, "duration": 1}, []])  # fmt: skip
def test_damaged_records_of_what_was_played_give_no_start(tmp_path: Path, played: Any) -> None:
    row = collected(tmp_path, log(), played)
    assert (row["started"], row["rank_started"]) == (None, [])
    assert row["completed"] == at(1.5)


def test_real_nodes_have_no_events_for_stamps(tmp_path: Path) -> None:
    row = collected(tmp_path, log(), None)
    assert (row["started"], row["finished"], row["rank_finished"]) == (None, None, [])


def test_latencies_are_all_that_a_job_takes_beside_its_payload(tmp_path: Path) -> None:
    native = tmp_path / "native"
    native.mkdir()
    (tmp_path / "driver").mkdir()
    lines = [
        # What comes before and after is the instance's own, on virtual nodes too.
        made.log_line(job, log(alloc=0.1, finish=1.6), execution=[
            made.event(begun, "starting"), made.event(begun + 0.01, "shell.init"),
            made.event(1.4, "complete"),
        ])
        for job, begun in ((7, 0.2), (8, 0.5), (9, 0.2))
    ]  # fmt: skip
    (native / "eventlogs.jsonl").write_text("".join(lines))
    (tmp_path / "driver/submissions.jsonl").write_text(
        "".join(json.dumps({"job": job, "native_id": str(job + 7)}) + "\n" for job in (0, 1))
    )
    stamps = [
        {"job": job, "rank": rank, "event": event, "clock_ns": at(seconds), "node": "compute1"}
        for job, rank, event, seconds in (
            # The ranks of a job do not start at once.
            (0, 0, "first", 0.45), (0, 1, "first", 0.4), (0, 0, "last", 1.25), (0, 1, "last", 1.2),
            # The clocks of two nodes do not agree so well.
            (1, 0, "first", 0.4), (1, 0, "last", 1.41),
            (5, 0, "first", 0.4),
        )
    ]  # fmt: skip
    starts, completions = latencies(native, stamps)
    assert starts == pytest.approx([0.2])
    assert completions == pytest.approx([0.2])
    assert latencies(tmp_path / "none", stamps) == ([], [])


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """Settings that name a folder which looks like an installation."""
    for name, text in (("bin/flux", ""), ("lib/pkgconfig/flux-core.pc", "prefix=/opt/flux\n")):
        path = tmp_path / "flux" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return {"flux": {"prefix": str(tmp_path / "flux")}}


def test_the_experiment_of_the_end_to_end_test_loads_on_a_small_host(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    text = (ROOT / "config/tests/virtual-flux.yaml").read_text()
    path = tmp_path / "virtual-flux.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(text) | {"settings": given}))
    host = HostFacts(cores=2, memory_mib=24 * 1024)
    names = [cluster.id for cluster in design.load_experiment(path, host, ROOT).clusters()]
    assert names == ["flux-virtual-n8", "easy-virtual-n8"]


def test_a_folder_is_walked_once_for_all_variants_that_have_it(
    tmp_path: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = []
    monkeypatch.setattr(
        installation, "read_folder", lambda *given: walked.append(given) or read_folder(*given)
    )
    text = (ROOT / "config/tests/virtual-flux.yaml").read_text()
    path = tmp_path / "virtual-flux.yaml"
    again = {"name": "other", "scheduler": "flux"}
    content = {"settings": given, "schedulers": ["flux", again]}
    path.write_text(yaml.safe_dump(yaml.safe_load(text) | content))
    design.load_experiment(path, HostFacts(cores=2, memory_mib=24 * 1024), ROOT)
    assert len(walked) == 1


def test_a_real_instance_writes_the_events_that_latencies_are_between(tmp_path: Path) -> None:
    native = tmp_path / "native"
    native.mkdir()
    (tmp_path / "driver").mkdir()
    text = (Path(__file__).parent / "data/flux-eventlogs.jsonl").read_text()
    (native / "eventlogs.jsonl").write_text(text)
    first = json.loads(text.splitlines()[0])
    (tmp_path / "driver/submissions.jsonl").write_text(
        json.dumps({"job": 0, "native_id": str(first["id"])}) + "\n"
    )
    shell = {event["name"]: event["timestamp"] for event in first["exec"]}
    # Where the payload would have stamped: between its shell's start and the end of its task.
    times = {"first": shell["shell.start"], "last": shell["shell.task-exit"]}
    stamps = [
        {"job": 0, "rank": 0, "event": event, "clock_ns": round(at * 1e9), "node": "compute1"}
        for event, at in times.items()
    ]
    starts, completions = latencies(native, stamps)
    assert starts == pytest.approx([shell["shell.start"] - shell["starting"]], abs=1e-5)
    assert completions == pytest.approx([shell["complete"] - shell["shell.task-exit"]], abs=1e-5)


def test_the_role_gets_nodes_shape_and_delays(tmp_path: Path, given: dict[str, Any]) -> None:
    virtual = {"carriers": 2, "delays": {"start": [0.1, 0.2, 0.4]}}
    experiment = load(tmp_path, schedulers=["flux"], nodes=[5], virtual=virtual, settings=given)
    (cluster,) = experiment.clusters()
    assert design.variables(cluster)["flux_virtual"] == {
        "cpus": 2,
        "memory_mib": 768,
        "carriers": cluster.carried(),
        "delays": {"start": [[0.1, 0.2], [0.2, 0.4]], "completion": []},
        "told": "start 0.1 to 0.4 s (in 2 equally likely intervals)",
    }


@pytest.mark.parametrize("nodes", ["", "8"])
def test_the_gates_job_is_played_on_virtual_nodes_alone(tmp_path: Path, nodes: str) -> None:
    flux = tmp_path / "flux"
    # In place of Flux: it tells how many virtual nodes there are, and how it was called.
    flux.write_text(f'#!/bin/sh\n[ "$1" = config ] && echo "{nodes}" || echo "$@" >&2\n')
    flux.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = FLUX.health(8, 8)[-1]
    done = subprocess.run(
        ["sh", "-c", command], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    words = done.stderr.split()
    assert words[:2] == ["run", "--nodes=8"] and words[-1] == "/bin/true"
    assert ("--setattr=system.exec.test.run_duration=1ms" in words) == bool(nodes)


def test_the_heads_memory_bounds_the_virtual_nodes(tmp_path: Path, given: dict[str, Any]) -> None:
    keys = {"schedulers": ["flux"], "virtual": {"carriers": 1}, "settings": given}
    lines = refusal(tmp_path, nodes=[10_000], head={"memory": "600 MiB"}, **keys)
    (line,) = [line for line in lines if "head.memory" in line]
    assert "with 10000 virtual nodes" in line
    (needed,) = re.findall(r"set head.memory to (\d+) MiB or more", line)
    load(tmp_path, nodes=[10_000], head={"memory": f"{needed} MiB"}, **keys)
    # Real nodes, and those of schedulers whose carriers have them, do not need it.
    load(tmp_path, nodes=[8], head={"memory": "600 MiB"}, **keys | {"schedulers": ["slurm"]})


def test_the_manifest_says_what_the_nodes_are(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"versions": {"flux-core": "0.88.0"}}
    real = FLUX.parity(native(tmp_path, facts))
    found = FLUX.parity(
        native(tmp_path, facts | {"configuration": {"schedlab": {"virtual": TABLE}}})
    )
    assert real["node daemons"] == "a broker on each node"
    for words in ("8 virtual nodes", "no payload runs", "nothing of Flux: 1", "end: none"):
        assert words in found["node daemons"]
    assert "mock execution" in found["a job is translated to"]
    assert "shell" not in found["gang"]
    assert "flux-shell" in real["costs"] and "nothing of Flux" in found["costs"]
    torn = {"configuration": {"schedlab": {"virtual": {"nodes": [3]}}}}
    assert "unknown" in FLUX.parity(native(tmp_path, facts | torn))["node daemons"]


def native(tmp_path: Path, facts: dict[str, Any]) -> Path:
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    return tmp_path
