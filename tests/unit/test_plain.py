"""Exceptions of Python and of libraries, in words for users."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from schedlab.errors import SchedlabError
from schedlab.images.cloud import download
from schedlab.plain import ended, plain


def raised(action: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    return caught.value


def asked(url: str) -> Exception:
    session = requests.Session()
    session.trust_env = False
    return raised(lambda: session.get(url, timeout=5).raise_for_status())


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def answering(text: bytes) -> tuple[int, threading.Thread]:
    """A server that sends this once, whatever is asked, and closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(text)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener.getsockname()[1], thread


def test_a_server_that_is_not_there_refuses_the_connection(closed_port: int) -> None:
    error = asked(f"http://127.0.0.1:{closed_port}/metrics")
    assert "HTTPConnectionPool" in str(error), "the library's own text, which no user shall read"
    assert plain(error) == "connection refused"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", "the server answers 503"),
    ],
)
def test_what_a_server_did_is_said(text: bytes, said: str) -> None:
    port, thread = answering(text)
    assert plain(asked(f"http://127.0.0.1:{port}/")) == said
    thread.join(30)


def test_requests_of_other_kinds() -> None:
    assert plain(requests.ReadTimeout("HTTPConnectionPool(...)")) == "no answer in time"
    certificate = requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")
    assert plain(certificate) == "the server's certificate is not accepted"
    nowhere = requests.ConnectionError("HTTPConnectionPool(...)")
    nowhere.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert plain(nowhere) == "the name of the server is not known"
    assert plain(requests.ConnectionError("HTTPConnectionPool(...)")) == "no connection"
    assert plain(requests.exceptions.InvalidURL("x")) == "the answer or the address cannot be read"


def test_exceptions_of_python(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; sys.exit(3)"]
    for action, said in (
        (lambda: (tmp_path / "no").read_text(), f"no such file or directory: {tmp_path / 'no'}"),
        (lambda: json.loads('{"a":\n x}'), "it is no JSON text (line 2, column 2)"),
        (lambda: b"\xff".decode("utf-8"), "it is no UTF-8 text"),
        (lambda: {}["jobs"], "the key jobs is missing"),
        (lambda: subprocess.run(program, check=True), f"{sys.executable} ended with status 3"),
        (lambda: float("x"), "could not convert string to float: 'x'"),
    ):
        assert plain(raised(action)) == said
    assert plain(subprocess.TimeoutExpired(["ssh", "-F"], 20.0)) == "ssh did not end within 20 s"
    assert plain(ValueError()) == "ValueError"


def test_an_error_of_this_project_keeps_its_words() -> None:
    error = SchedlabError("it broke", node="head")
    assert plain(error) == str(error)


def test_the_end_of_a_process_is_said() -> None:
    assert (ended(2), ended(-9)) == ("ended with status 2", "was ended by SIGKILL")
    assert ended(-60) == "was ended by signal 60"


def test_an_image_that_cannot_be_fetched_says_why(closed_port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port}/image.qcow2"
    with pytest.raises(SchedlabError) as caught:
        download(url, "0" * 64, tmp_path / "image")
    assert caught.value.message == f"image.url {url} cannot be read: connection refused"
