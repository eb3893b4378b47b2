"""The submitter of Flux: what of it can be tried without Flux."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from schedlab.schedulers.flux import records

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "workflow/infrastructure"
PROGRAM = INFRASTRUCTURE / "ansible/roles/flux/files/disk/lib/schedlab_flux.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    specification = importlib.util.spec_from_file_location("schedlab_flux", PROGRAM)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROGRAM.parent)
        specification.loader.exec_module(module)
    return module


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    client.settimeout(10)
    with client, server:
        yield client, server


def request(body: bytes) -> bytes:
    return b"POST /jobs HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_a_request_is_whole_with_its_last_byte(program: ModuleType, pair: Any) -> None:
    client, server = pair
    connection = program.Connection(server, metrics=False)
    text = request(b'{"a": 1}')
    for byte in text[:-1]:
        client.sendall(bytes([byte]))
        assert connection.request() is None
    client.sendall(text[-1:] + b"GET / HTTP/1.1\r\n")
    assert connection.request() == (b"POST", b'{"a": 1}')
    client.sendall(b"\r\n")
    assert connection.request() == (b"GET", b"")


def test_a_client_that_goes_is_told_from_one_that_waits(program: ModuleType, pair: Any) -> None:
    client, server = pair
    connection = program.Connection(server, metrics=False)
    client.close()
    with pytest.raises(ConnectionError):
        connection.request()
    connection.answer(200, {"id": 1})  # nobody hears it, and nothing fails


def test_answers_are_http(program: ModuleType, pair: Any) -> None:
    client, server = pair
    program.Connection(server, metrics=False).answer(400, {"error": "no such urgency"})
    head, _, body = client.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"error": "no such urgency"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"jobspec": {}}',
                                  b'{"jobspec": {}, "urgency": "high"}'])  # fmt: skip
def test_a_body_that_asks_for_no_job_is_refused(program: ModuleType, body: bytes) -> None:
    with pytest.raises(ValueError, match="no job"):
        program.wanted(body)


def test_the_driver_finds_the_end_of_a_job_in_the_journals_line(program: ModuleType) -> None:
    event = {"timestamp": 1795685473.161102, "name": "clean", "context": {}}
    line = program.line_of(53150220288, event)
    found = re.search(records.ENDED, line)
    assert found and found[1] == "53150220288"
    for name in ("submit", "finish", "free"):
        assert not re.search(records.ENDED, program.line_of(1, event | {"name": name}))
    # What a job's name or a note says cannot end another job.
    note = {"note": '"id": 7, "timestamp": 1.0, "name": "clean"'}
    assert not re.search(
        records.ENDED, program.line_of(1, event | {"name": "exception", "context": note})
    )


def test_the_journal_tells_what_is_played_of_a_job(program: ModuleType) -> None:
    event = {"timestamp": 1795685473.161102, "name": "submit"}
    played = {"start": 0.1, "duration": 1.0}
    spec = {"attributes": {"system": {"duration": 60}, "user": {"user": "u1", "played": played}}}
    assert json.loads(program.line_of(1, event, None, spec))["played"] == played
    for other in (None, {}, {"attributes": {"user": {"user": "u1"}}}):
        assert "played" not in json.loads(program.line_of(1, event, None, other))


def test_metrics_are_prometheus_text(program: ModuleType) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    answers = {
        "job-list.job-stats": {"job_states": {"sched": 3, "run": 2}},
        "job-manager.stats-get": {"active_jobs": 5, "journal": {"listeners": 1}, "x": "text"},
        "sched-simple.stats-get": {"pending_jobs": 3, "sched_delay": 0.5, "on": True},
    }
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(program.exposition(answers))
        for sample in family.samples
    }
    assert samples == {
        ("schedlab_flux_jobs", "sched"): 3,
        ("schedlab_flux_jobs", "run"): 2,
        ("schedlab_flux_statistics", "job-manager", "active_jobs"): 5,
        ("schedlab_flux_statistics", "job-manager", "journal.listeners"): 1,
        ("schedlab_flux_statistics", "sched-simple", "pending_jobs"): 3,
        ("schedlab_flux_statistics", "sched-simple", "sched_delay"): 0.5,
    }


class Answer:
    """SYNTHETIC answer of a broker to one question."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def get(self) -> Any:
        return self.found

    def get_jobs(self) -> Any:
        return self.found


def test_records_end_with_the_number_of_jobs(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rpc(_service: str, asked: dict[str, Any]) -> Answer:
        return Answer({"eventlog": "", "guest.exec.eventlog": "", "R": "null"} | asked)

    handle = SimpleNamespace(rpc=rpc)
    listed = SimpleNamespace(job_list=lambda *_, **__: Answer([{"id": 9}, {"id": 7}]))
    for name, module in (
        ("flux", SimpleNamespace(Flux=lambda: handle)),
        ("flux.job", SimpleNamespace()),
        ("flux.job.list", listed),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(program, "virtual", lambda _: None)
    assert program.records(None) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("id") for line in lines] == [7, 9, None]
    assert lines[-1] == {"jobs": 2}
