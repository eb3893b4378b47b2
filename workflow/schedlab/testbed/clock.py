"""Offset of guest clocks to the controller's clock.

Every guest's clock goes on from the instant of the snapshot, so guests lie far behind the
controller, and alike. Nothing steps them; instead the offset is measured, before and after the
workload, and the tables subtract it.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict, dataclass

from schedlab.errors import SchedlabError
from schedlab.testbed.ssh import Node

RESPONDER = "python3 -u /usr/local/lib/schedlab/schedlab_clock.py"


@dataclass(frozen=True)
class Offset:
    """Guest clock minus controller clock.

    Attributes
    ----------
    offset_ns : int
        Nanoseconds to subtract from a guest's time stamp.
    uncertainty_ns : int
        Half of the smallest round trip; the true offset lies within plus or minus this.
    """

    offset_ns: int
    uncertainty_ns: int


def best_offset(exchanges: list[tuple[int, int, int]]) -> Offset:
    """Compute the offset from request/response exchanges (RFC 5905, section 8, minimum filter).

    Parameters
    ----------
    exchanges : list of (int, int, int)
        Controller's time at sending, guest's time, controller's time at receiving; nanoseconds.
    """
    sent, guest, received = min(exchanges, key=lambda e: e[2] - e[0])
    return Offset(guest - (sent + received) // 2, (received - sent + 1) // 2)


def measure_offset(node: Node, rounds: int = 20) -> Offset:
    """Exchange `rounds` time stamps with a node over one SSH channel."""
    with subprocess.Popen(
        node.command(RESPONDER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        exchanges = []
        # The first exchange waits for the interpreter to start and is not used.
        for _ in range(rounds + 1):
            sent = time.time_ns()
            process.stdin.write(b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            received = time.time_ns()
            if not answer:
                raise SchedlabError("the clock responder gave no answer", node=node.name)
            exchanges.append((sent, int(answer), received))
        process.stdin.close()
    return best_offset(exchanges[1:])


def measure_offsets(nodes: dict[str, Node]) -> dict[str, dict[str, int]]:
    """Measure every node's offset; values are ``offset_ns`` and ``uncertainty_ns``."""
    # One after the other: simultaneous exchanges lengthen one another's round trips.
    return {name: asdict(measure_offset(node)) for name, node in nodes.items()}
