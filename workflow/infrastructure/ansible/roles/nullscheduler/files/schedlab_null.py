#!/usr/bin/env python3
"""Accept jobs over HTTP on a Unix socket and end each at once: no scheduler can be faster.

    schedlab_null.py SOCKET LOG

POST with a JSON body {nodes, cpus, ...}: status 200 and {"job": number}; 400 and {"error": words}
if the body does not describe a job. GET: 200. Connections are kept. Before the answer, two lines
about the job are added to the log:

    accepted NUMBER NS NODES CPUS
    completed NUMBER NS

with NS the instant of CLOCK_REALTIME (ns). It uses one thread that waits for all connections, and
no library for HTTP, because its own cost lowers the submitter's ceiling that it measures. Standard
library only, Python >= 3.9.
"""

import contextlib
import json
import os
import re
import selectors
import socket
import sys
import time
from pathlib import Path

NAME = "nullscheduler"
BACKLOG = 4096  # connections that wait to be accepted, up to net.core.somaxconn
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})", re.I)
END = b"\r\n\r\n"


class Jobs:
    """Numbers jobs from 1 and writes them to the log."""

    def __init__(self, log):
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.number = 0

    def take(self, body):
        """Accept and end the job that a request's body asks for; return status and answer."""
        try:
            wanted = json.loads(body)
            nodes, cpus = int(wanted["nodes"]), int(wanted["cpus"])
            if nodes < 1 or cpus < 1:
                raise ValueError("no nodes or no processors")
        except (ValueError, KeyError, TypeError) as error:
            return 400, {"error": f"no job: {type(error).__name__}: {error}"}
        accepted = time.time_ns()
        self.number += 1
        lines = f"accepted {self.number} {accepted} {nodes} {cpus}\n"
        os.write(self.log, f"{lines}completed {self.number} {time.time_ns()}\n".encode())
        return 200, {"job": self.number}


class Connection:
    """Connection of one client, with the requests that are not answered yet."""

    def __init__(self, stream, jobs):
        self.stream = stream
        self.jobs = jobs
        self.text = b""

    def read(self):
        """Answer the complete requests; return False if the client closed the connection."""
        part = self.stream.recv(65536)
        self.text += part
        while END in self.text:
            head, _, rest = self.text.partition(END)
            found = LENGTH.search(head)
            length = int(found.group(1)) if found else 0
            if len(rest) < length:
                break
            self.text = rest[length:]
            status, answer = 200, {}
            if head.startswith(b"POST "):
                status, answer = self.jobs.take(rest[:length])
            self.stream.sendall(response(status, answer))
        return bool(part)


def response(status, answer):
    """HTTP response with a JSON body."""
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def serve(path, log):
    """Answer until the process is ended."""
    with contextlib.suppress(OSError):
        # The cost exporter finds the process by this name, as its command is Python's.
        Path("/proc/self/comm").write_text(NAME)
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    jobs, listener = Jobs(log), socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(BACKLOG)
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is listener:
                stream = listener.accept()[0]
                waiting.register(stream, selectors.EVENT_READ, Connection(stream, jobs))
                continue
            try:
                alive = key.data.read()
            except OSError:
                alive = False
            if not alive:
                waiting.unregister(key.fileobj)
                key.fileobj.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    serve(*sys.argv[1:])
