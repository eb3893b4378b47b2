#!/usr/bin/env python3
"""Submit jobs to Flux over one connection that stays open, and follow all of them by one journal.

    flux python schedlab_flux.py serve SOCKET JOURNAL [--metrics PORT]
    flux python schedlab_flux.py records
    flux python schedlab_flux.py facts

serve: HTTP on a Unix socket. POST with a JSON body {jobspec, urgency}: status 200 and {"id":
number} once Flux has accepted the job, 400 and {"error": words} where it refused, 503 where the
broker is away and has not got the job, 502 where it went and may have got it. GET: 200 while the
broker answers, else 503. The socket is there once the events of jobs are heard. When the broker or
the journal is lost, the process ends with status 1, to be started again. Requests of any number of
connections are under way at one time: each is an asynchronous submission of this one process. Every
event of every job goes to the file JOURNAL, a line of JSON an event, in the order in which the
broker has them:

    {"id": 123, "timestamp": s, "name": "clean", "context": {...}}

After a restart of the broker the journal is heard from its beginning, so that events can stand in
the file twice. With --metrics, GET /metrics at that TCP port, which takes no jobs, tells Prometheus
how many jobs are in each state, and what the broker and the queue count.

On virtual nodes jobs are played (schedlab_flux_virtual.py); the event "submit" in the journal then
also has {"played": {"start", "duration", "completion"}}, and so have the records.

records: for each job a line of JSON {id, eventlog, exec, R}: its two event logs as Flux keeps them
and its resources; then a line {"jobs": their number}. facts: one JSON object {versions,
configuration, parameters, statistics}.

Runs with the Python that Flux was built for (3.9 or later), its bindings, and nothing else.
"""

import argparse
import contextlib
import errno
import json
import re
import selectors
import socket
import sys
from pathlib import Path

from schedlab_flux_journal import LOSSES, Journal, LostError
from schedlab_flux_virtual import mocked, played, virtual

NAME = "schedlab-flux"
BACKLOG = 4096  # connections that wait to be accepted, up to net.core.somaxconn
AT_ONCE = 256  # look-ups of records under way
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I)
SCRAPE = 1 << 14  # bytes of the head, and of a body, that a reader of metrics may send
LARGEST = 4 << 20  # bytes of a request's head or body; a jobspec has some 2 KiB
END = b"\r\n\r\n"
WORDS = {200: "OK", 400: "Bad Request", 405: "Method Not Allowed", 502: "Bad Gateway"}
STATES = "job-list.job-stats"
WATCHED = (
    "job-manager",
    "job-ingest",
    "overlay",
    "broker",
    "sched-simple",
    "sched-fluxion-qmanager",
)
STATISTICS = (*WATCHED, "job-exec", "content", "content-sqlite", "kvs", "sched-fluxion-resource")
"""Modules that are asked for what they count; those that are not loaded are left out."""
PARAMETERS = ("sched-fluxion-qmanager", "sched-fluxion-resource")


class Connection:
    """One client: what it sent and is not answered yet."""

    def __init__(self, stream, metrics):
        self.stream = stream
        self.metrics = metrics
        self.text = b""

    def request(self):
        """Take in what can be read; return (method, body) of a request that is whole, else None.

        A client sends its next request after the answer to the one before.

        Raises
        ------
        ConnectionError
            When the client has gone, or sends more than a request may have.
        """
        part = self.stream.recv(65536)
        if not part:
            raise ConnectionResetError("the client closed the connection")
        self.text += part
        head, end, rest = self.text.partition(END)
        found = LENGTH.search(head)
        # Not int() of any number of digits, which refuses 4,301 of them.
        length = int(found.group(1).lstrip(b"0")[:9] or b"0") if found else 0
        if max(length, len(head)) > (SCRAPE if self.metrics else LARGEST):
            raise ConnectionAbortedError("the request is too large")
        if not end or len(rest) < length:
            return None
        self.text = rest[length:]
        return head.split(b" ", 1)[0], rest[:length]

    def answer(self, status, body, kind="application/json"):
        """Send an answer; one that nobody hears is dropped."""
        text = body if isinstance(body, str) else json.dumps(body)
        with contextlib.suppress(OSError):
            self.stream.sendall(response(status, text.encode(), kind))


def response(status, body, kind):
    """HTTP response."""
    words = WORDS.get(status, "Service Unavailable")
    head = (
        f"HTTP/1.1 {status} {words}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def wanted(body):
    """Jobspec (JSON text) and urgency of a request's body.

    Raises
    ------
    ValueError
        When it asks for no job.
    """
    try:
        asked = json.loads(body)
        return json.dumps(asked["jobspec"]), int(asked["urgency"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no job: {type(error).__name__}: {error}") from error


def leaves(value, names=()):
    """Numbers in nested mappings, each with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*names, re.sub(r"\W+", "_", str(key)).strip("_").lower()))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield ".".join(names), value


def exposition(answers):
    """Prometheus' text of what the broker's modules answered (service -> answer)."""
    lines = ["# TYPE schedlab_flux_jobs gauge"]
    states = answers.get(STATES, {}).get("job_states", {})
    lines += [f'schedlab_flux_jobs{{state="{name}"}} {count}' for name, count in states.items()]
    lines.append("# TYPE schedlab_flux_statistics gauge")
    for module in WATCHED:
        for counter, number in leaves(answers.get(f"{module}.stats-get", {})):
            labels = f'module="{module}",counter="{counter}"'
            lines.append(f"schedlab_flux_statistics{{{labels}}} {number}")
    return "\n".join(lines) + "\n"


def refuse(connection, error, lost, refused=400):
    """Answer with status `refused` where Flux said no, and `lost` where the broker is lost.

    Raises
    ------
    LostError
        When the broker is lost: this connection to it will never be of use again.
    """
    words = error.strerror or str(error)
    connection.answer(lost if error.errno in LOSSES else refused, {"error": words})
    if error.errno in LOSSES:
        raise LostError(f"the broker is lost: {error}") from error


class Server:
    """The submitter: sockets, submissions and the journal in one reactor.

    Parameters
    ----------
    handle : flux.Flux
        Connection to the broker.
    path : str
        Unix socket.
    journal : str
        File of events.
    metrics : int or None
        TCP port of the metrics.
    """

    def __init__(self, handle, path, journal, metrics):
        self.handle = handle
        self.virtual = virtual(handle)
        self.addresses = path, metrics
        # Before events of jobs are heard nobody may submit any: while the broker loads its modules
        # the process ends, and whether it had a request nobody knows.
        self.journal = Journal(handle, journal, self.begin)

    def begin(self):
        """Open the sockets."""
        from flux.constants import FLUX_POLLIN

        path, metrics = self.addresses
        # One epoll object for all sockets, which the reactor watches as one.
        self.waiting = selectors.DefaultSelector()
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
        self.listen(socket.socket(socket.AF_UNIX), path, metrics=False)
        if metrics:
            stream = socket.socket()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # The node's own address in the cluster's network, as /etc/hosts has it.
            self.listen(stream, (socket.gethostname(), metrics), metrics=True)
        self.watcher = self.handle.fd_watcher_create(self.waiting.fileno(), self.ready, FLUX_POLLIN)
        self.watcher.start()

    def listen(self, stream, address, metrics):
        """Accept connections at an address."""
        stream.bind(address)
        stream.listen(BACKLOG)
        self.waiting.register(stream, selectors.EVENT_READ, metrics)

    def ready(self, *_):
        """Serve the sockets that have something to read."""
        for key, _mask in self.waiting.select(0):
            if not isinstance(key.data, Connection):
                stream = key.fileobj.accept()[0]
                connection = Connection(stream, metrics=key.data)
                self.waiting.register(stream, selectors.EVENT_READ, connection)
                continue
            try:
                request = key.data.request()
            except OSError:
                self.waiting.unregister(key.fileobj)
                key.fileobj.close()
                continue
            if request is not None:
                self.serve(key.data, *request)

    def serve(self, connection, method, body):
        """Answer a request, now or once Flux has answered."""
        if connection.metrics and method != b"GET":
            # The whole network of the cluster reaches this port: it must not run anybody's jobs.
            connection.answer(405, {"error": "metrics can only be read"})
        elif connection.metrics:
            self.ask([STATES, *(f"{name}.stats-get" for name in WATCHED)], connection)
        elif method == b"POST":
            self.submit(connection, body)
        else:
            self.handle.rpc("broker.ping", {}).then(self.alive, connection)

    def submit(self, connection, body):
        """Hand a job to Flux without waiting for its answer."""
        from flux.job import submit_async

        try:
            jobspec, urgency = wanted(body)
            if self.virtual:
                jobspec = mocked(jobspec, self.virtual)
            submit_async(self.handle, jobspec, urgency=urgency).then(self.accepted, connection)
        except ValueError as error:
            connection.answer(400, {"error": str(error)})
        except OSError as error:
            refuse(connection, error, lost=503)

    @staticmethod
    def accepted(future, connection):
        """Pass on the job's id, or why Flux refused it."""
        try:
            connection.answer(200, {"id": int(future.get_id())})
        except OSError as error:
            # Without the service nobody took the job; after the request went out somebody may have.
            refuse(connection, error, lost=503 if error.errno == errno.ENOSYS else 502)

    @staticmethod
    def alive(future, connection):
        """Say whether the broker answers."""
        try:
            future.get()
            connection.answer(200, {})
        except OSError as error:
            refuse(connection, error, lost=503, refused=503)

    def ask(self, services, connection):
        """Ask modules at once, and answer when all have answered."""
        answers, open_questions = {}, set(services)

        def told(future, service):
            with contextlib.suppress(OSError):
                answers[service] = future.get()
            open_questions.discard(service)
            if not open_questions:
                connection.answer(200, exposition(answers), "text/plain; version=0.0.4")

        for service in services:
            self.handle.rpc(service, {}).then(told, service)


def serve(arguments):
    """Serve until the process is ended or the broker goes."""
    import flux

    with contextlib.suppress(OSError):
        # By which the cost exporter knows the process, whose command is that of Python.
        Path("/proc/self/comm").write_text(NAME)
    try:
        handle = flux.Flux()
        server = Server(handle, arguments.socket, arguments.journal, arguments.metrics)
        handle.reactor_run()
        del server
    except (LostError, OSError) as error:
        print(f"{NAME}: {error}; it ends, to be started again", file=sys.stderr)
    return 1


def events(text):
    """Events of an event log: a line of JSON each."""
    return [json.loads(line) for line in (text or "").splitlines()]


def records(_arguments):
    """Print the event logs and the resources of every job that Flux knows."""
    import flux
    from flux.job.list import job_list

    handle = flux.Flux()
    found = job_list(handle, max_entries=0, attrs=["state"]).get_jobs()
    ids = sorted({int(job["id"]) for job in found})
    keys = ("eventlog", "guest.exec.eventlog", "R", *(("jobspec",) if virtual(handle) else ()))
    for first in range(0, len(ids), AT_ONCE):
        group = ids[first : first + AT_ONCE]
        asked = {
            (job, key): handle.rpc("job-info.lookup", {"id": job, "keys": [key], "flags": 0})
            for job in group
            for key in keys
        }
        for job in group:
            told = {}
            for key in keys:
                # A job that never ran has no resources and no second log.
                with contextlib.suppress(OSError):
                    told[key] = asked[job, key].get()[key]
            row = {"id": job, "eventlog": events(told.get("eventlog"))}
            row["exec"] = events(told.get("guest.exec.eventlog"))
            row["R"] = json.loads(told["R"]) if "R" in told else None
            if "jobspec" in told:
                row["played"] = played(json.loads(told["jobspec"]))
            print(json.dumps(row))
    # Without this line the records are not whole, and say of no job that Flux did not know it.
    print(json.dumps({"jobs": len(ids)}))
    return 0


def facts(_arguments):
    """Print versions, configuration, parameters and statistics."""
    import flux

    handle = flux.Flux()

    def told(service):
        try:
            return handle.rpc(service, {}).get()
        except OSError:
            return None

    parameters = {name: told(f"{name}.params") for name in PARAMETERS}
    statistics = {name: told(f"{name}.stats-get") for name in STATISTICS}
    statistics["jobs"] = told(STATES)
    answer = {
        "versions": versions(handle),
        "configuration": told("config.get"),
        "parameters": {name: found for name, found in parameters.items() if found},
        "statistics": {name: found for name, found in statistics.items() if found},
    }
    print(json.dumps(answer))
    return 0


def versions(handle):
    """Versions of flux-core and, where it is installed, of flux-sched."""
    from flux.conf_builtin import conf_builtin_get

    found = {"flux-core": handle.attr_get("version")}
    # The only place that names it is the library's file.
    libraries = Path(conf_builtin_get("module_path").split(":")[0]).parents[1]
    for library in libraries.glob("libfluxion-data.so.*.*.*"):
        found["flux-sched"] = library.name.split(".so.")[1]
    return found


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description="Submit jobs to Flux and follow them.")
    commands = parser.add_subparsers(required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("socket")
    serving.add_argument("journal")
    serving.add_argument("--metrics", type=int)
    serving.set_defaults(run=serve)
    commands.add_parser("records").set_defaults(run=records)
    commands.add_parser("facts").set_defaults(run=facts)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
