"""How the driver submits a job: by a command, or by a call of an API.

Part of schedlab_driver.py, with nothing but Python's standard library (3.9 or later).
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
from typing import Any, Dict, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What came of a submission: exit or HTTP status (None: it never got so far), id, message."""

    code: Optional[int]
    native: Optional[str] = None
    message: str = ""
    late: bool = False


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


def connection_to(
    options: Dict[str, str], context: Optional[ssl.SSLContext] = None
) -> http.client.HTTPSConnection:
    """Connection, not yet open, to an HTTPS server: {url, certificate, key, authority}."""
    url = urlsplit(options["url"])
    return http.client.HTTPSConnection(
        url.hostname or "", url.port or 443, context=context or identity(options), timeout=30
    )


def identity(options: Dict[str, str]) -> ssl.SSLContext:
    """Who the client is, and whose servers it trusts."""
    # Not create_default_context: its strict checks (Python 3.13) refuse plain openssl CAs.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=options["authority"])
    context.load_cert_chain(options["certificate"], options["key"])
    return context


def exchange(
    connection: http.client.HTTPSConnection, method: str, path: str, body: Any, timeout: float
) -> Tuple[int, bytes]:
    """Status and whole body of the answer; only what was read whole leaves it usable."""
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


class Api:
    """Connections to an HTTPS server that stay open from one request to the next.

    All are opened at once, so that no submission pays for a handshake; a request takes one that is
    free. Not more than `connections` requests may be under way.
    """

    def __init__(self, options: Dict[str, str], connections: int) -> None:
        context = identity(options)
        self.free = [connection_to(options, context) for _ in range(connections)]
        for connection in self.free:
            connection.connect()

    def submit(self, request: Dict[str, Any], timeout: float) -> Answer:
        """Send a request; once more, on a new connection, where the server had closed this one.

        The request may have been heard before its connection broke, so the second time a refusal
        because of the same name (409) means that it was.
        """
        connection = self.free.pop()
        retried = False
        try:
            while True:
                kept = connection.sock is not None
                try:
                    status, body = exchange(
                        connection, request["method"], request["path"], request["body"], timeout
                    )
                    break
                except (http.client.BadStatusLine, ConnectionError, ssl.SSLError) as error:
                    connection.close()
                    if retried or not kept:
                        return Answer(None, None, str(error) or type(error).__name__)
                    retried = True
        except socket.timeout:
            connection.close()
            return LATE
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Answer(None, None, str(error) or type(error).__name__)
        finally:
            self.free.append(connection)
        try:
            answer = json.loads(body)
            name = (answer.get("metadata") or {}).get("name")
            message = str(answer.get("message") or "")
        except (ValueError, AttributeError):
            name, message = None, body.decode("utf-8", "replace").strip()
        if retried and status == 409:
            return Answer(0, request["body"]["metadata"]["name"], "accepted at the first attempt")
        if status >= 300:
            return Answer(status, None, message or "HTTP status {}".format(status))
        return Answer(0, name, "" if name else "the answer names no object")
