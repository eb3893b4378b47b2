"""The submitter of Flux: what of it can be tried without Flux."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
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


@pytest.fixture(scope="module")
def journal(program: ModuleType) -> ModuleType:
    return sys.modules[program.Journal.__module__]


class Future:
    """An answer of Flux: a mapping, or an error."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.resets = 0

    def get(self) -> Any:
        if isinstance(self.answer, int):
            raise OSError(self.answer, os.strerror(self.answer))
        return self.answer

    get_id = get

    def then(self, callback: Any, *arguments: Any) -> None:
        self.callback, self.arguments = callback, arguments

    def reset(self) -> None:
        self.resets += 1


class Handle:
    """A connection to a broker that answers nothing by itself."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def rpc(self, *arguments: Any) -> Future:
        self.asked.append(arguments)
        # As the configuration of an instance without virtual nodes.
        return Future({})

    def fd_watcher_create(self, *_arguments: Any) -> Any:
        return SimpleNamespace(start=lambda: None)


@pytest.fixture
def flux(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A module flux; `submission` is what submit_async does."""

    def submit_async(*_arguments: Any, **_options: Any) -> Future:
        if fake.error:
            raise OSError(fake.error, os.strerror(fake.error))
        return Future()

    fake = SimpleNamespace(error=None)
    constants = SimpleNamespace(FLUX_RPC_STREAMING=4, FLUX_POLLIN=1)
    job = SimpleNamespace(submit_async=submit_async)
    for name, module in {"flux": fake, "flux.constants": constants, "flux.job": job}.items():
        monkeypatch.setitem(sys.modules, name, module)
    return fake


def server(program: ModuleType) -> Any:
    """A submitter without sockets."""
    made = object.__new__(program.Server)
    made.handle, made.virtual = Handle(), {}
    return made


def status(client: socket.socket) -> int:
    return int(client.recv(65536).split(b" ")[1])


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


def test_the_driver_finds_the_end_of_a_job_in_the_journals_line(journal: ModuleType) -> None:
    event = {"timestamp": 1795685473.161102, "name": "clean", "context": {}}
    line = journal.line_of(53150220288, event)
    found = re.search(records.ENDED, line)
    assert found and found[1] == "53150220288"
    for name in ("submit", "finish", "free"):
        assert not re.search(records.ENDED, journal.line_of(1, event | {"name": name}))
    # What a job's name or a note says cannot end another job.
    note = {"note": '"id": 7, "timestamp": 1.0, "name": "clean"'}
    assert not re.search(
        records.ENDED, journal.line_of(1, event | {"name": "exception", "context": note})
    )


def test_the_journal_tells_what_is_played_of_a_job(journal: ModuleType) -> None:
    event = {"timestamp": 1795685473.161102, "name": "submit"}
    played = {"start": 0.1, "duration": 1.0}
    spec = {"attributes": {"system": {"duration": 60}, "user": {"user": "u1", "played": played}}}
    assert json.loads(journal.line_of(1, event, None, spec))["played"] == played
    for other in (None, {}, {"attributes": {"user": {"user": "u1"}}}):
        assert "played" not in json.loads(journal.line_of(1, event, None, other))


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


def test_the_journal_is_heard_from_its_past_to_what_happens(
    journal: ModuleType, flux: SimpleNamespace, tmp_path: Path
) -> None:
    handle, path = Handle(), tmp_path / "journal.jsonl"
    begun: list[str] = []
    heard = journal.Journal(handle, str(path), lambda: begun.append(path.read_text()))
    assert handle.asked == [("job-manager.events-journal", {"full": True}, 0, 4)]

    def answer(job: int, *events: tuple[float, str]) -> dict[str, Any]:
        rows = [{"timestamp": at, "name": name} for at, name in events]
        return {"id": job, "events": rows, "R": {"version": 1}, "jobspec": {}}

    def lines() -> list[tuple[int, str, bool]]:
        rows = map(json.loads, path.read_text().splitlines())
        return [(row["id"], row["name"], "R" in row) for row in rows]

    past = [Future(answer(1, (1.0, "submit"), (4.0, "clean"))), Future(answer(2, (2.0, "alloc")))]
    for future in past:
        heard.heard(future)
    assert not heard.current and not lines()
    heard.heard(Future(answer(-1)))
    assert heard.current and len(begun) == 1, "its file has the past when it begins"
    assert begun[0] == path.read_text()
    heard.heard(Future(answer(3, (0.5, "submit"))))
    expected = [(1, "submit", False), (2, "alloc", True), (1, "clean", False)]
    assert lines() == [*expected, (3, "submit", False)]
    assert [future.resets for future in past] == [1, 1], "else no further response comes"


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENODATA, errno.ECONNRESET, errno.EPERM])
def test_no_error_of_the_journal_is_dropped(
    journal: ModuleType, flux: SimpleNamespace, tmp_path: Path, error: int
) -> None:
    """ENOSYS before the job manager is loaded, ENODATA when the broker ends cleanly."""
    heard = journal.Journal(Handle(), str(tmp_path / "journal.jsonl"), lambda: None)
    with pytest.raises(journal.LostError, match=re.escape(os.strerror(error))):
        heard.heard(Future(error))


def test_a_journal_that_cannot_be_written_ends_the_process(
    journal: ModuleType, flux: SimpleNamespace
) -> None:
    heard = journal.Journal(Handle(), "/dev/full", lambda: None)
    heard.current = True
    event = {"timestamp": 1.0, "name": "clean"}
    with pytest.raises(journal.LostError, match="No space left"):
        heard.heard(Future({"id": 1, "events": [event]}))


def test_the_process_ends_with_words_when_the_broker_is_lost(
    program: ModuleType, flux: SimpleNamespace, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> None:
        raise program.LostError("the journal ended: no data")

    monkeypatch.setattr(program, "Server", lambda *_: None)
    monkeypatch.setattr(program, "Path", lambda _: SimpleNamespace(write_text=lambda _: None))
    flux.Flux = lambda: SimpleNamespace(reactor_run=lost)
    assert program.serve(SimpleNamespace(socket="", journal="", metrics=None)) == 1
    assert "the journal ended: no data" in capsys.readouterr().err


def test_nobody_can_submit_before_the_journal_is_heard(
    program: ModuleType, flux: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Else jobs would run unheard, or be lost with a process that ends because of ENOSYS."""
    folder = tmp_path_factory.mktemp("s")
    path, handle = folder / "socket", Handle()
    path.touch()  # what is left of the process before
    made = program.Server(handle, str(path), str(folder / "journal.jsonl"), None)
    client = socket.socket(socket.AF_UNIX)
    with client:
        with pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
        made.journal.heard(Future({"id": -1, "events": []}))
        client.connect(str(path))
    for key in list(made.waiting.get_map().values()):
        key.fileobj.close()


JOB = json.dumps({"jobspec": {}, "urgency": 16}).encode()


@pytest.mark.parametrize("error", [errno.EPIPE, errno.ECONNRESET, errno.ENOSYS])
def test_a_lost_broker_is_no_refusal_of_a_job(
    program: ModuleType, flux: SimpleNamespace, pair: Any, error: int
) -> None:
    client, stream = pair
    connection = program.Connection(stream, metrics=False)
    flux.error = error
    with pytest.raises(program.LostError):
        server(program).submit(connection, JOB)
    assert status(client) == 503
    with pytest.raises(program.LostError):
        program.Server.accepted(Future(error), connection)
    # Sent and not answered: whether Flux has the job is not known, so it must not be sent again.
    assert status(client) == (503 if error == errno.ENOSYS else 502)
    with pytest.raises(program.LostError):
        server(program).alive(Future(error), connection)
    assert status(client) == 503


def test_what_flux_refuses_is_a_refusal(
    program: ModuleType, flux: SimpleNamespace, pair: Any
) -> None:
    client, stream = pair
    connection = program.Connection(stream, metrics=False)
    program.Server.accepted(Future(errno.EINVAL), connection)
    assert status(client) == 400
    flux.error = errno.EINVAL
    server(program).submit(connection, JOB)
    assert status(client) == 400


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE"])
def test_the_metrics_port_takes_no_jobs(
    program: ModuleType, flux: SimpleNamespace, pair: Any, method: bytes
) -> None:
    client, stream = pair
    made = server(program)
    made.submit = lambda *_: pytest.fail("the network submitted a job")
    made.serve(program.Connection(stream, metrics=True), method, JOB)
    assert status(client) == 405
    assert not made.handle.asked


@pytest.mark.parametrize("metrics", [False, True])
@pytest.mark.parametrize("length", [b"5000000", b"999999999", b"9" * 5000])
def test_a_request_has_a_largest_size(
    program: ModuleType, pair: Any, metrics: bool, length: bytes
) -> None:
    client, stream = pair
    connection = program.Connection(stream, metrics=metrics)
    client.sendall(b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n")
    with pytest.raises(ConnectionError, match="too large"):
        connection.request()


def test_a_head_without_an_end_is_not_kept(program: ModuleType, pair: Any) -> None:
    client, stream = pair
    connection = program.Connection(stream, metrics=True)
    client.sendall(b"G" * 20_000)
    with pytest.raises(ConnectionError, match="too large"):
        for _ in range(3):
            connection.request()


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
