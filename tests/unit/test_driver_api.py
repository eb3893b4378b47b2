"""The guest driver's API mode, against a TLS server that asks for a client certificate."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tls_server import JsonHandler, TlsServer, serving

DRIVER = Path(__file__).resolve().parents[2] / "workflow/infrastructure/guest/schedlab_driver.py"
PATTERN = r'"name":"(job\d+)".*"Complete"'


class Server(TlsServer):
    """Answers as an API server would, and ends each job in the log a moment later."""

    def __init__(self, certificates: Path, log: Path) -> None:
        super().__init__(certificates, Handler)
        self.log = log
        self.connections: set[int] = set()
        self.requests: list[tuple[str, str, str, str]] = []
        self.names: set[str] = set()


class Handler(JsonHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.body()
        name, fate = body["metadata"]["name"], body.get("fate")
        certificate = self.connection.getpeercert()  # type: ignore[attr-defined]
        client = dict(pair[0] for pair in certificate["subject"])["commonName"]
        self.server.connections.add(self.client_address[1])
        kind = self.headers["Content-Type"]
        self.server.requests.append((name, self.path, client, kind))
        if fate == "hangs":
            time.sleep(30)
        first = [entry[0] for entry in self.server.requests].count(name) == 1
        taken = name in self.server.names
        if fate != "dropped" or not first:
            self.server.names.add(name)
        if fate in ("dropped", "heard") and first:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fate == "refused":
            self.answer(403, {"kind": "Status", "message": "jobs is forbidden", "code": 403})
        elif fate == "broken":
            self.answer(500, "no JSON")
        elif taken:
            self.answer(409, {"kind": "Status", "reason": "AlreadyExists", "message": "exists"})
        else:
            self.answer(201, {"kind": "Job", "metadata": {"name": name, "uid": "u"}})
        with self.server.log.open("a") as log:
            log.write(f'{{"name":"{name}","status":"Complete"}}\n')


@pytest.fixture
def server(certificates: Path, tmp_path: Path) -> Iterator[Server]:
    log = tmp_path / "audit.log"
    log.write_text('{"name":"job0","status":"Complete"}\n')
    server = Server(certificates, log)
    with serving(server):
        yield server


def drive(
    server: Server, folder: Path, *fates: str | None, **change: Any
) -> tuple[subprocess.CompletedProcess[str], dict[int, dict[str, Any]]]:
    submissions = [
        {
            "job": number,
            "arrival": number * change.get("gap", 0.0),
            "argv": [],
            "request": {
                "method": "POST",
                "path": "/apis/batch/v1/namespaces/default/jobs",
                "body": {"metadata": {"name": f"job{number}"}, "fate": fate},
            },
        }
        for number, fate in enumerate(fates)
    ]
    plan = {
        "schema": "schedlab.plan/1",
        "submissions": submissions,
        "completion": {"log": str(server.log), "pattern": PATTERN},
        "concurrency": change.get("concurrency", 2),
        "ready": change.get("concurrency", 2),
        "api": server.api() | change.get("api", {}),
    }
    if change.get("api") == {}:
        del plan["api"]
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, str(DRIVER), "--plan", str(folder / "plan.json")]
    command += ["--output", str(folder / "out"), "--timeout", str(change.get("timeout", 20))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    path = folder / "out" / "submissions.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return done, {row["job"]: row for row in map(json.loads, lines)}


def test_requests_share_the_connections(server: Server, tmp_path: Path) -> None:
    done, rows = drive(server, tmp_path, *[None] * 30)
    assert done.returncode == 0, done.stderr
    assert [rows[job]["native_id"] for job in range(30)] == [f"job{job}" for job in range(30)]
    assert all((row["returncode"], row["stderr"]) == (0, "") for row in rows.values())
    assert all(row["submit_ns"] < row["accepted_ns"] for row in rows.values())
    assert len(server.requests) == 30
    assert len(server.connections) <= 2, "connections are kept"
    _, path, client, kind = server.requests[0]
    assert path == "/apis/batch/v1/namespaces/default/jobs"
    assert (client, kind) == ("client", "application/json")


def test_a_dropped_connection_is_opened_again_once(server: Server, tmp_path: Path) -> None:
    # The server does not get the first request; it gets the second, and only the answer is lost.
    done, rows = drive(server, tmp_path, "dropped", "heard", None, concurrency=1, gap=0.1)
    assert done.returncode == 0, done.stderr
    assert [rows[job]["native_id"] for job in range(3)] == ["job0", "job1", "job2"]
    assert [rows[job]["returncode"] for job in range(3)] == [0, 0, 0]
    assert "first attempt" in rows[1]["stderr"]
    assert [name for name, *_ in server.requests] == ["job0", "job0", "job1", "job1", "job2"]
    assert len(server.connections) == 3


def test_refusals_are_rows_with_status_and_message(server: Server, tmp_path: Path) -> None:
    done, rows = drive(server, tmp_path, "refused", "broken", None, concurrency=1)
    assert done.returncode == 0, done.stderr
    assert [(rows[job]["returncode"], rows[job]["native_id"]) for job in range(3)] == [
        (403, None), (500, None), (0, "job2")
    ]  # fmt: skip
    assert rows[0]["stderr"] == "jobs is forbidden"
    assert rows[1]["stderr"] == "no JSON"
    assert len(server.connections) == 1


def test_a_server_that_does_not_answer_ends_at_the_time_limit(
    server: Server, tmp_path: Path
) -> None:
    done, rows = drive(server, tmp_path, "hangs", None, timeout=5)
    assert done.returncode == 3, done.stderr
    assert "time limit" in rows[0]["stderr"]
    assert rows[1]["native_id"] == "job1"


@pytest.mark.parametrize(
    ("api", "what"),
    [
        ({}, "without an api"),
        ({"authority": "/nowhere"}, "FileNotFoundError"),
        ({"url": "https://127.0.0.1:1"}, "refused"),
        ({"url": "https://localhost:{port}"}, "CertificateVerification|SSLCertVerificationError"),
    ],
)
def test_plans_whose_api_cannot_be_used_do_not_begin(
    server: Server, tmp_path: Path, api: dict[str, str], what: str
) -> None:
    api = {key: text.replace("{port}", str(server.server_port)) for key, text in api.items()}
    done, rows = drive(server, tmp_path, None, api=api)
    assert done.returncode == 2, done.stdout
    assert any(part in done.stderr for part in what.split("|")), done.stderr
    assert not rows
