"""What an exception of Python or of a library means, in words for users."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

from schedlab.errors import SchedlabError


def plain(error: BaseException) -> str:
    """Say what happened, without names of classes, addresses of objects and other libraries' forms.

    Parameters
    ----------
    error : BaseException
        What was raised. Of an exception that is not known here, its own text is taken, in one line.
    """
    if isinstance(error, SchedlabError):
        return str(error)
    if type(error).__module__.partition(".")[0] == "requests":
        return _no_answer(error)
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{_program(error.cmd)} did not end within {error.timeout:.3g} s"
    if isinstance(error, subprocess.CalledProcessError):
        return f"{_program(error.cmd)} {ended(error.returncode)}"
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON text (line {error.lineno}, column {error.colno})"
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8 text"
    if isinstance(error, KeyError) and error.args:
        return f"the key {error.args[0]} is missing"
    if isinstance(error, OSError) and error.strerror:
        what = _lower(error.strerror)
        return f"{what}: {error.filename}" if error.filename else what
    return " ".join(str(error).split()) or type(error).__name__


def ended(status: int) -> str:
    """Say how a process ended.

    Parameters
    ----------
    status : int
        Exit status; minus the number of a signal, if one ended it.
    """
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _no_answer(error: BaseException) -> str:
    """Why a request has no good answer."""
    # Not at the top: its import is slow. Who has such an error has imported it.
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not accepted"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, ValueError):
        return "the answer or the address cannot be read"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "the name of the server is not known"
        if isinstance(cause, http.client.RemoteDisconnected):
            return "the connection was closed without an answer"
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            return _lower(cause.strerror)
    return "no connection"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those within it, as libraries nest them."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]


def _program(command: Any) -> str:
    return str(command if isinstance(command, str) else command[0])


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
