#!/usr/bin/env python3
"""Submit a job for the driver: by a command, or by a call of an API.

Part of schedlab_driver.py; needs only Python's standard library (3.9 or later). Run as a program,
it sends one request for a health check: exit status 0 if the answer is a success, else 1 with a
line on standard error.

    schedlab_submit.py --api JSON GET PATH

The API (`api` of plan.json, and --api)
    url             https://HOST:PORT, or unix:PATH: HTTP over a Unix socket, without certificates
    certificate, key, authority
                    with https: the client's certificate and key, the server's authority
    version_file    file whose text replaces {version} in the requests' paths; optional
    answer          {id, message}: place of the native id in the answer, and list of the places of
                    the words of a refusal, which are joined by colons. A place is keys and indices
                    joined by dots: errors.0.error
    repeat          true if the server refuses a second object of the same name (409), so that a
                    request whose connection broke may be sent again
    away            true if requests wait for a server that is away: while it cannot be connected
                    to, or says by status 503 that it has not got the request, this is sent again
                    until the trial's time limit. Where the server may have got it, because the
                    connection broke, the status is 502. Optional
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

UNIX = "unix:"
CONNECT_LIMIT = 30.0  # s
FULL = 0.002  # s between two attempts at a socket whose queue is full
AGAIN = 0.1  # s between two attempts at a server that is away
UNAVAILABLE, UNKNOWN = 503, 502


class Answer(NamedTuple):
    """Result of a submission: exit or HTTP status (None if there was none), id, message."""

    code: Optional[int]
    native: Optional[str] = None
    message: str = ""
    late: bool = False


AWAY = Answer(UNAVAILABLE, None, "the server is away")
LATE = Answer(None, None, "the submission was ended at the trial's time limit", True)


def run_command(entry: Dict[str, Any], timeout: float) -> Answer:
    """Run a submission command."""
    try:
        done = subprocess.run(
            entry["argv"],
            input=entry.get("stdin") or "",
            cwd=entry.get("workdir") or None,
            env={**os.environ, **(entry.get("env") or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return LATE
    except OSError as error:
        return Answer(None, None, str(error))
    words = done.stdout.split()
    native = words[0].split(";")[0] if done.returncode == 0 and words else None
    return Answer(done.returncode, native, done.stderr.strip())


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_LIMIT)
        self.path = path

    def connect(self) -> None:
        """Connect; try again while the server's queue of connections is full."""
        limit = CONNECT_LIMIT if self.timeout is None else self.timeout
        deadline = time.monotonic() + limit
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(limit)
        while True:
            try:
                self.sock.connect(self.path)
                return
            except BlockingIOError:
                # Unlike TCP, a Unix socket whose queue is full refuses connections at once.
                if time.monotonic() > deadline:
                    raise socket.timeout("the server's queue of connections is full") from None
                time.sleep(FULL)


def connection_to(
    options: Dict[str, Any], context: Optional[ssl.SSLContext] = None
) -> http.client.HTTPConnection:
    """Connection, not yet open, to the server of an API."""
    if options["url"].startswith(UNIX):
        return UnixConnection(options["url"][len(UNIX) :])
    url = urlsplit(options["url"])
    return http.client.HTTPSConnection(
        url.hostname or "",
        url.port or 443,
        context=context or identity(options),
        timeout=CONNECT_LIMIT,
    )


def identity(options: Dict[str, Any]) -> ssl.SSLContext:
    """Client's certificate, and the authority whose servers the client trusts."""
    # Not create_default_context: its strict checks (Python 3.13) refuse plain openssl CAs.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=options["authority"])
    context.load_cert_chain(options["certificate"], options["key"])
    return context


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any, timeout: float
) -> Tuple[int, bytes]:
    """Status and whole body of the answer; an unread rest would make the connection unusable."""
    connection.timeout = timeout
    if connection.sock is not None:
        connection.sock.settimeout(timeout)
    connection.request(
        method,
        path,
        body=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
    )
    response = connection.getresponse()
    return response.status, response.read()


def version_of(options: Dict[str, Any]) -> str:
    """Version of the API, from the version file; empty if the options name no such file."""
    path = options.get("version_file")
    return Path(path).read_text(encoding="utf-8").strip() if path else ""


def picked(answer: Any, place: str) -> str:
    """Text at a place in an answer (`errors.0.error`); empty if the answer has no such place."""
    for key in place.split("."):
        try:
            answer = answer[int(key)] if isinstance(answer, list) else answer[key]
        except (KeyError, IndexError, ValueError, TypeError):
            return ""
    # 0 means that the object has no id.
    return str(answer) if answer else ""


class Api:
    """Connections to the server of an API that stay open from one request to the next.

    The first `connections` are opened in advance, so that no submission waits for a handshake. A
    request uses a free connection, or opens a further one if none is free.
    """

    def __init__(self, options: Dict[str, Any], connections: int) -> None:
        self.options = options
        self.unix = options["url"].startswith(UNIX)
        self.context = None if self.unix else identity(options)
        self.version = version_of(options)
        self.lock = threading.Lock()
        self.free: List[http.client.HTTPConnection] = []
        for _ in range(connections):
            connection = connection_to(options, self.context)
            connection.connect()
            self.free.append(connection)

    def submit(self, request: Dict[str, Any], timeout: float) -> Answer:
        """Send a request, and where `away` allows it wait (at most `timeout`, s) for the server."""
        deadline = time.monotonic() + timeout
        answer = self._sent(request, timeout)
        while self.options.get("away") and answer.code == UNAVAILABLE:
            remaining = deadline - time.monotonic() - AGAIN
            if remaining <= 0:
                return LATE
            time.sleep(AGAIN)
            answer = self._sent(request, remaining)
        return answer

    def _sent(self, request: Dict[str, Any], timeout: float) -> Answer:
        """Send a request; if a kept connection broke and `repeat` allows it, send it once more.

        The server may have accepted the first request before the connection broke. So after a
        repetition, a refusal because of the same name (409) means success.
        """
        connection = self._taken()
        path = request["path"].replace("{version}", self.version)
        retried = False
        try:
            while True:
                kept = connection.sock is not None
                try:
                    status, body = exchange(
                        connection, request["method"], path, request["body"], timeout
                    )
                    break
                except (http.client.BadStatusLine, ConnectionError, ssl.SSLError) as error:
                    connection.close()
                    if retried or not kept or not self.options.get("repeat"):
                        return self._failed(error)
                    retried = True
        except socket.timeout:
            connection.close()
            return LATE
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return self._failed(error)
        finally:
            with self.lock:
                self.free.append(connection)
        if retried and status == 409:
            return Answer(0, request["body"]["metadata"]["name"], "accepted at the first attempt")
        return self._answer(status, body)

    def _failed(self, error: Exception) -> Answer:
        """Answer in place of the one that did not come."""
        # Connecting fails with two of these, sending with the third: no whole request arrived.
        unheard = isinstance(error, (ConnectionRefusedError, FileNotFoundError, BrokenPipeError))
        code = UNKNOWN if self.options.get("away") else None
        return AWAY if unheard and code else Answer(code, None, str(error) or type(error).__name__)

    def _taken(self) -> http.client.HTTPConnection:
        with self.lock:
            connection = self.free.pop() if self.free else None
        if connection is None:
            return connection_to(self.options, self.context)
        if self.unix and connection.sock and select.select([connection.sock], [], [], 0)[0]:
            # A connection that is readable before a request was closed by the server.
            connection.close()
        return connection

    def _answer(self, status: int, body: bytes) -> Answer:
        places = self.options["answer"]
        try:
            answer = json.loads(body)
            native = picked(answer, places["id"])
            words = [picked(answer, place) for place in places["message"]]
            message = ": ".join(word for word in words if word)
        except ValueError:
            native, message = "", body.decode("utf-8", "replace").strip()
        if status >= 300:
            return Answer(status, None, message or "HTTP status {}".format(status))
        return Answer(0, native or None, "" if native else message or "the answer names no object")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Ask the API that jobs are submitted to.")
    parser.add_argument("--api", type=json.loads, required=True, help="as in plan.json")
    parser.add_argument("method", choices=["GET"])
    parser.add_argument("path", help="with {version} for that of the API")
    arguments = parser.parse_args()
    try:
        path = arguments.path.replace("{version}", version_of(arguments.api))
        connection = connection_to(arguments.api)
        status, body = exchange(connection, arguments.method, path, None, CONNECT_LIMIT)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print("schedlab_submit: {}: {}".format(type(error).__name__, error), file=sys.stderr)
        return 1
    if status >= 300:
        text = body.decode("utf-8", "replace").strip()[-400:]
        print("schedlab_submit: {}: HTTP status {}: {}".format(path, status, text), file=sys.stderr)
    return int(status >= 300)


if __name__ == "__main__":
    sys.exit(main())
