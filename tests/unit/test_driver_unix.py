"""The guest driver through a Unix socket: a stand-in for Slurm's API, and the null scheduler."""

from __future__ import annotations

import json
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest
from tls_server import JsonHandler

from schedlab.schedulers import Scheduler, get_scheduler
from schedlab.schedulers.rows import collect
from schedlab.workloads import Job, Machine, Trace

ROOT = Path(__file__).resolve().parents[2]
GUEST = ROOT / "workflow/infrastructure/guest"
Api = runpy.run_path(str(GUEST / "schedlab_submit.py"))["Api"]
NULL = ROOT / "workflow/infrastructure/ansible/roles/nullscheduler/files/schedlab_null.py"


class Slurmrestd(ThreadingMixIn, UnixStreamServer):
    """Answers as slurmrestd 24.11 does, and ends each job in slurmctld's log."""

    daemon_threads = True
    request_queue_size = 200

    def __init__(self, path: Path, log: Path, wait_for: int = 0) -> None:
        super().__init__(str(path), Handler)
        # A client that went away again must not hold up the end of the server.
        self.socket.settimeout(5)
        self.log, self.wait_for = log, wait_for
        self.lock = threading.Lock()
        self.whole = threading.Event()
        self.paths: list[str] = []
        self.jobs: list[dict[str, Any]] = []
        self.connections = 0


class Handler(JsonHandler):
    server: Slurmrestd  # type: ignore[assignment]

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        if self.path == "/slurm/v0.0.42/ping/":
            self.answer(200, {"pings": []})
        else:
            self.answer(404, "Unable find requested URL.")

    def do_POST(self) -> None:
        job = self.body()["job"]
        server = self.server
        with server.lock:
            server.paths.append(self.path)
            server.jobs.append(job)
            number = len(server.jobs)
            if number >= server.wait_for:
                server.whole.set()
        server.whole.wait(240)
        name = job["name"]
        if name == "job7":
            # As Slurm answered when it was measured: an error's words, and 0 in place of an id.
            error = {"error_number": 2014, "error": "Requested node configuration is not available",
                     "description": "Batch job submission failed", "source": "x"}  # fmt: skip
            self.answer(500, {"job_id": 0, "errors": [error], "warnings": []})
            return
        with server.lock, server.log.open("a") as log:
            log.write(f"[t] _job_complete: JobId={number} done\n")
        self.answer(200, {"job_id": number, "step_id": "batch", "errors": [], "warnings": []})
        if name == "job8":
            self.close_connection = True


@contextmanager
def slurmrestd(folder: Path, wait_for: int = 0) -> Iterator[Slurmrestd]:
    """Serve on ``folder/socket``."""
    server = Slurmrestd(folder / "socket", folder / "log", wait_for)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.whole.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder whose name leaves room for a socket's: 107 characters."""
    return tmp_path_factory.mktemp("s")


def drive(
    scheduler: Scheduler, folder: Path, jobs: int, gap: float = 0.0, ready: int = 2
) -> tuple[subprocess.CompletedProcess[str], dict[int, dict[str, Any]], dict[str, Any]]:
    """Run a plan of the adapter's own translations; done, rows and driver.json."""
    trace = Trace(
        "w", "burst", 1, Machine(2, 2), tuple(Job(n, gap * n, 1, 1, 0.0) for n in range(jobs))
    )
    (folder / "log").touch()
    (folder / "version").write_text("v0.0.42\n")
    api = scheduler.plan_extra()["api"] | {"url": f"unix:{folder}/socket"}
    if "version_file" in api:
        api["version_file"] = str(folder / "version")
    plan = {
        "schema": "schedlab.plan/1",
        "submissions": [asdict(scheduler.translate(job, trace)) for job in trace.jobs],
        "completion": scheduler.completion() | {"log": str(folder / "log")},
        "concurrency": 1000,
        "ready": ready,
        "api": api,
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, str(GUEST / "schedlab_driver.py"), "--plan"]
    command += [str(folder / "plan.json"), "--output", str(folder / "out"), "--timeout", "240"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = (folder / "out" / "submissions.jsonl").read_text().splitlines()
    rows = {row["job"]: row for row in map(json.loads, lines)}
    return done, rows, json.loads((folder / "out" / "driver.json").read_text())


def test_slurms_api_takes_the_adapters_translations(short: Path) -> None:
    with slurmrestd(short) as server:
        done, rows, _ = drive(get_scheduler("slurm"), short, 12, gap=0.05)
    assert done.returncode == 0, done.stderr
    assert set(server.paths) == {"/slurm/v0.0.42/job/submit"}
    assert [row["returncode"] for row in rows.values()].count(0) == 11
    # The scheduler's own words, as sbatch would print them.
    assert (rows[7]["returncode"], rows[7]["native_id"]) == (500, None)
    assert rows[7]["stderr"] == (
        "Batch job submission failed: Requested node configuration is not available"
    )
    # Job 8's connection was closed after its answer. The driver sees that, and uses another one. On
    # a busy machine jobs may reach the server in another order than they are due.
    came = [int(job["name"].removeprefix("job")) for job in server.jobs]
    assert sorted(came) == list(range(12))
    assert {job: rows[job]["native_id"] for job in came if job != 7} == {
        job: str(number) for number, job in enumerate(came, 1) if job != 7
    }


def test_fifty_that_are_due_at_once_are_all_under_way(short: Path) -> None:
    """The server answers none of them before the last has come; two connections were ready."""
    with slurmrestd(short, wait_for=50) as server:
        done, rows, result = drive(get_scheduler("slurm"), short, 50)
    assert done.returncode == 0, done.stderr
    assert len(rows) == 50
    assert result["concurrency"]["reached"] == 50
    assert server.connections == 50


def test_a_server_that_is_gone_refuses_and_nothing_is_sent_twice(short: Path) -> None:
    """Slurm accepts two jobs of one name, so a request that may have arrived is not repeated."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(short / "socket"))
    listener.listen(10)
    heard = []

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            heard.append(client.recv(1 << 16))
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    _, rows, _ = drive(get_scheduler("slurm"), short, 1, ready=1)
    listener.close()
    assert rows[0]["native_id"] is None
    assert rows[0]["stderr"]
    assert len([text for text in heard if text]) == 1


class Restarting(ThreadingMixIn, UnixStreamServer):
    """The submitter of a broker that restarts: it says that it lost it, and goes."""

    daemon_threads = True
    posts = 0
    statuses: tuple[int, ...] = ()


class RestartingHandler(JsonHandler):
    server: Restarting  # type: ignore[assignment]

    def address_string(self) -> str:
        return "unix"

    def do_POST(self) -> None:
        self.body()
        self.server.posts += 1
        status = dict(enumerate(self.server.statuses, 1)).get(self.server.posts, 200)
        self.answer(status, {"id": 5} if status == 200 else {"error": "Broken pipe"})


@pytest.mark.parametrize(
    ("statuses", "code", "posts"), [((503, 503), 0, 3), ((400,), 400, 1), ((502,), 502, 1)]
)
def test_jobs_wait_for_a_submitter_of_flux_that_is_away(
    short: Path, statuses: tuple[int, ...], code: int, posts: int
) -> None:
    """What was refused, or may have been taken by a broker that then went, is not sent again."""
    path = short / "socket"
    flux = get_scheduler("flux").plan_extra()["api"] | {"url": f"unix:{path}"}
    server = Restarting(str(path), RestartingHandler)
    server.statuses = statuses
    held = Api(flux, 1)
    # Gone: the socket first, then a file that nobody listens at, then the server again.
    late = short / "late"
    path.rename(late)

    def back() -> None:
        time.sleep(0.15)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        time.sleep(0.15)
        late.rename(path)
        server.serve_forever(0.05)

    held.free.clear()
    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    answer = held.submit({"method": "POST", "path": "/jobs", "body": {}}, 60)
    server.shutdown()
    server.server_close()
    assert (answer.code, server.posts) == (code, posts)
    assert answer.native == ("5" if code == 0 else None)


def test_a_job_whose_fate_nobody_knows_is_lost_and_not_rejected(short: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(short / "socket"))
    listener.listen(1)

    def end() -> None:
        client = listener.accept()[0]
        heard = b""
        # Of a request that was not heard to its end it is known that nobody took it.
        while not heard.endswith(b"\r\n\r\n{}"):
            heard += client.recv(1 << 16)
        client.close()

    threading.Thread(target=end, daemon=True).start()
    flux = get_scheduler("flux")
    api = flux.plan_extra()["api"] | {"url": f"unix:{short}/socket"}
    answer = Api(api, 0).submit({"method": "POST", "path": "/jobs", "body": {}}, 60)
    listener.close()
    driver = {"job": 0, "native_id": None, "returncode": answer.code, "stderr": answer.message}
    native = short / "native"
    native.mkdir()
    (found,) = collect(flux, native, [], [{"job": 0}], [driver])
    assert (answer.code, found["state"]) == (502, "LOST")
    assert found["native_state"] == answer.message
    (refused,) = collect(flux, native, [], [{"job": 0}], [driver | {"returncode": 400}])
    assert refused["state"] == "REJECTED"


def test_jobs_wait_for_a_submitter_no_longer_than_the_trial(short: Path) -> None:
    flux = get_scheduler("flux").plan_extra()["api"] | {"url": f"unix:{short}/socket"}
    request = {"method": "POST", "path": "/jobs", "body": {}}
    assert Api(flux, 0).submit(request, 0.3).late
    # Others, whose servers are asked once, are told at once.
    assert not Api(flux | {"away": False}, 0).submit(request, 0.3).late


def asked(folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Slurm's health check of its API, with this test's programs, socket and record."""
    (folder / "version").write_text(version)
    command = get_scheduler("slurm").health(2, 2)[0]
    for old, new in (
        ("/usr/local/lib/schedlab", str(GUEST)),
        ("/run/slurmrestd/slurmrestd.socket", str(folder / "socket")),
        ("/etc/schedlab/slurm-submission", str(folder / "version")),
    ):
        command = command.replace(old, new)
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300)


def test_the_health_check_asks_the_api_and_names_the_remedy(short: Path) -> None:
    with slurmrestd(short):
        assert asked(short, "v0.0.42\n").returncode == 0
        wrong = asked(short, "v0.0.99\n")
    assert wrong.returncode != 0
    assert "HTTP status 404" in wrong.stderr
    assert "set settings.slurm.submission: cli" in wrong.stderr
    gone = asked(short, "v0.0.42\n")
    assert gone.returncode != 0
    assert "set settings.slurm.submission: cli" in gone.stderr
    assert asked(short, "cli\n").returncode == 0


@pytest.fixture
def null(short: Path) -> Iterator[Path]:
    """The null scheduler on ``socket``, with its log in ``log``."""
    command = [sys.executable, str(NULL), str(short / "socket"), str(short / "log")]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.socket(socket.AF_UNIX).connect(str(short / "socket"))
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield short
        process.terminate()


def test_the_null_scheduler_ends_every_job_at_once(null: Path) -> None:
    scheduler = get_scheduler("nullscheduler")
    done, rows, _ = drive(scheduler, null, 200)
    assert done.returncode == 0, done.stderr
    assert sorted(int(row["native_id"]) for row in rows.values()) == list(range(1, 201))
    native = null / "native"
    native.mkdir()
    (native / "jobs.log").write_bytes((null / "log").read_bytes())
    translations = [{"job": job} for job in range(200)]
    found = collect(scheduler, native, [], translations, list(rows.values()))
    assert {row["state"] for row in found} == {"COMPLETED"}
    for row in found:
        assert row["submit"] <= row["accepted"] <= row["completed"]
        assert row["started"] is row["finished"] is row["allocated"] is None
        assert row["started_source"] == "null scheduler: no payload runs"
    assert scheduler.counters(native) == {"jobs_accepted": 200.0, "jobs_completed": 200.0}


def test_the_null_scheduler_refuses_what_is_no_job(null: Path) -> None:
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(120)
    stream.connect(str(null / "socket"))

    def post(body: bytes) -> bytes:
        head = f"POST /jobs HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        # In two parts, as a network may deliver it.
        stream.sendall(head[:20])
        stream.sendall(head[20:] + body)
        return stream.recv(4096)

    assert post(b"nonsense").startswith(b"HTTP/1.1 400 ")
    assert post(b'{"nodes": 0, "cpus": 1}').startswith(b"HTTP/1.1 400 ")
    assert post(b'{"nodes": 2, "cpus": 3}').endswith(b'{"job": 1}')
    first, second = (null / "log").read_text().splitlines()
    assert first.startswith("accepted 1 ")
    assert first.endswith(" 2 3")
    assert second.startswith("completed 1 ")
