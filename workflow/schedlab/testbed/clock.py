"""Offset of guest clocks to the controller's clock.

Every guest's clock goes on from the instant of the snapshot, so guests lie far behind the
controller, and alike. Nothing steps them; instead the offset is measured, before and after the
workload, and the tables subtract it.
"""

from __future__ import annotations

import os
import subprocess
import threading
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
    at_ns : int
        Controller's clock in the middle of the exchange that gave the offset.
    """

    offset_ns: int
    uncertainty_ns: int
    at_ns: int


def best_offset(exchanges: list[tuple[int, int, int]]) -> Offset:
    """Compute the offset from request/response exchanges (RFC 5905, section 8, minimum filter).

    Parameters
    ----------
    exchanges : list of (int, int, int)
        Controller's time at sending, guest's time, controller's time at receiving; nanoseconds.
    """
    sent, guest, received = min(exchanges, key=lambda e: e[2] - e[0])
    middle = (sent + received) // 2
    return Offset(guest - middle, (received - sent + 1) // 2, middle)


def measure_offset(node: Node, rounds: int = 20, timeout: float = 120.0) -> Offset:
    """Exchange `rounds` time stamps with a node over one SSH channel.

    Raises
    ------
    SchedlabError
        When the node gives no answer, or not all of them within `timeout` seconds.
    """
    exchanges = []
    late = threading.Event()
    with subprocess.Popen(
        node.command(RESPONDER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, give_up)
        timer.daemon = True
        timer.start()
        try:
            # The first exchange waits for the interpreter to start and is not used.
            for _ in range(rounds + 1):
                sent = time.time_ns()
                os.write(process.stdin.fileno(), b"\n")
                answer = process.stdout.readline()
                received = time.time_ns()
                if not answer:
                    raise BrokenPipeError
                exchanges.append((sent, int(answer), received))
        except BrokenPipeError as error:
            within = f" within {timeout:g} s" if late.is_set() else ""
            raise SchedlabError(
                f"the clock responder gave no answer{within}", node=node.name
            ) from error
        finally:
            timer.cancel()
            # Also after a signal: leaving the block waits for the process.
            process.kill()
    return best_offset(exchanges[1:])


def measure_offsets(nodes: dict[str, Node]) -> dict[str, dict[str, int]]:
    """Measure every node's offset; values are an :class:`Offset`'s as a mapping."""
    # One after the other: simultaneous exchanges lengthen one another's round trips.
    return {name: asdict(measure_offset(node)) for name, node in nodes.items()}
