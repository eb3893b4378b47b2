"""Offset of guest clocks to the controller's clock.

The clock of a restored guest continues from the instant of its snapshot, so all guests are behind
the controller by about the same time. Nothing corrects their clocks. Instead the offset is measured
before and after the workload, and the tables subtract it.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from dataclasses import asdict, dataclass

from schedlab import processes
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
        Half of the shortest round trip: the largest error that `offset_ns` can have.
    at_ns : int
        Controller's clock in the middle of the exchange that the offset comes from.
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
    """Exchange time stamps with a node over one SSH channel.

    Parameters
    ----------
    node : Node
        The node.
    rounds : int
        Number of exchanges.
    timeout : float
        Time for all exchanges, s.

    Raises
    ------
    SchedlabError
        When the node does not answer, or not all answers come within `timeout`.
    """
    exchanges = []
    deadline = time.monotonic() + timeout
    with processes.start(
        node.command(RESPONDER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        try:
            # The first exchange waits for the interpreter to start and is not used.
            for _ in range(rounds + 1):
                sent = time.time_ns()
                os.write(process.stdin.fileno(), b"\n")
                answer = _line(process.stdout.fileno(), deadline)
                received = time.time_ns()
                exchanges.append((sent, int(answer), received))
        except (BrokenPipeError, ValueError) as error:
            raise SchedlabError("the clock responder did not answer", node=node.name) from error
        except TimeoutError as error:
            raise SchedlabError(
                f"the clock responder did not answer within {timeout:g} s", node=node.name
            ) from error
        finally:
            # Leaving the block waits for the process, so it must end, also after a signal.
            process.kill()
    return best_offset(exchanges[1:])


def _line(pipe: int, deadline: float) -> bytes:
    """Read one line from a pipe, until an instant of the monotonic clock.

    Reading to the end of the pipe after ending the process would not do: a process that ssh started
    (its shared connection, a ProxyCommand) may hold the pipe open for ever.

    Raises
    ------
    TimeoutError
        When the line is not there in time.
    BrokenPipeError
        When the pipe ends first.
    """
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        if not waiting.poll(1000 * max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        part = os.read(pipe, 4096)
        if not part:
            raise BrokenPipeError
        line += part
    return line


def measure_offsets(nodes: dict[str, Node]) -> dict[str, dict[str, int]]:
    """Measure the offset of every node.

    Returns
    -------
    dict of str to dict
        By node, the fields of its :class:`Offset`.
    """
    # One node after the other, because simultaneous exchanges lengthen each other's round trips.
    return {name: asdict(measure_offset(node)) for name, node in nodes.items()}
