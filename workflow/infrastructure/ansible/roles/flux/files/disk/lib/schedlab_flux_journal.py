"""The journal of Flux's job manager, written to a file of one line of JSON an event.

Flux's own JournalConsumer is not used: it drops every error but the end of the data, so that a
client which asks before the job manager is loaded, or whose disk is full, would hear nothing for
ever. Here every error ends the process, which systemd starts again.
"""

import errno
import json
import os

from schedlab_flux_virtual import played

TOPIC = "job-manager.events-journal"
LOSSES = (errno.EPIPE, errno.ECONNRESET, errno.ENOSYS)
"""Errors of a broker that is away, ends, or has not loaded its modules yet: no words on a job."""


class LostError(Exception):
    """The broker or its journal is lost: the process must end and begin anew."""


def line_of(job, entry, resources=None, jobspec=None):
    """Line of the journal's file for one event."""
    row = {"id": int(job), "timestamp": entry["timestamp"], "name": entry["name"]}
    row["context"] = entry.get("context") or {}
    if resources:
        row["R"] = resources
    if played(jobspec):
        row["played"] = played(jobspec)
    return json.dumps(row) + "\n"


class Journal:
    """All events of all jobs, from the job manager to a file.

    Parameters
    ----------
    handle : flux.Flux
        Connection to the broker.
    path : str
        File that events are appended to.
    begin : callable
        Called once when the past has been told, so that events are heard when they happen.
    """

    def __init__(self, handle, path, begin):
        from flux.constants import FLUX_RPC_STREAMING

        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.begin = begin
        self.past = []
        self.current = False
        self.asked = handle.rpc(TOPIC, {"full": True}, 0, FLUX_RPC_STREAMING)
        self.asked.then(self.heard)

    def heard(self, future):
        """Take in a response of the job manager.

        Raises
        ------
        LostError
            When there will be no more of them, or the file cannot be written. It leaves the
            reactor: Flux's Python stops it for any error of a callback, and raises that again.
        """
        try:
            self.take(future.get())
        except OSError as error:
            raise LostError(f"the journal ended: {error}") from error
        future.reset()

    def take(self, response):
        """Write the events of a response down, those of the past in the order of time."""
        job = response["id"]
        lines = [
            (
                entry["timestamp"],
                line_of(
                    job,
                    entry,
                    response.get("R") if entry["name"] == "alloc" else None,
                    response.get("jobspec") if entry["name"] == "submit" else None,
                ),
            )
            for entry in response["events"]
        ]
        if self.current:
            self.write("".join(line for _, line in lines))
        elif lines:
            # The past comes job by job.
            self.past += lines
        else:
            # A response without events is the end of the past.
            self.current = True
            self.write("".join(line for _, line in sorted(self.past, key=lambda pair: pair[0])))
            self.past = []
            self.begin()

    def write(self, text):
        """Append to the file, to the last byte."""
        rest = text.encode()
        while rest:
            rest = rest[os.write(self.file, rest) :]
