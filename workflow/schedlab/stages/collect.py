"""Fetch what a trial left on its nodes: native records, the driver's rows, payload stamps."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.outside.output import output_file
from schedlab.schedulers import Scheduler
from schedlab.schedulers.base import STAMPS
from schedlab.testbed.ssh import Node, head_of

OUTPUT = "/var/lib/schedlab/driver"
_DRIVER = ("submissions.jsonl", "driver.json")


def parse_stamps(node: str, text: str) -> Iterator[dict[str, Any]]:
    """Parse a node's payload stamps (see ``schedlab_payload.c``); skip an incomplete last line."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[0] in {"first", "last"}:
            event, job, rank, clock, _host, cpus = fields
            yield {
                "node": node,
                "event": event,
                "job": int(job),
                "rank": int(rank),
                "clock_ns": int(clock),
                "cpus": int(cpus),
            }


def fetch_script(commands: Mapping[str, Sequence[str]], files: Mapping[str, str]) -> str:
    """Shell script that runs commands, reads files, and writes all results to its output as tar.

    One connection and one sudo serve all of them, because these take an emulated guest longer than
    the commands do.

    Parameters
    ----------
    commands : mapping of str to sequence of str
        Command lines by the name of their result.
    files : mapping of str to str
        Paths on the node by the name of their result.

    Returns
    -------
    str
        The script. Its archive has a member for each name and, after a failure, two more with
        ``.status`` and ``.stderr`` added to the name.
    """
    lines = ["set -u", "d=$(mktemp -d)", "cd /"]
    runs = dict(commands) | {name: ("cat", path) for name, path in files.items()}
    for name, words in runs.items():
        target = shlex.quote(name)
        lines.append(
            f'{shlex.join(words)} > "$d"/{target} 2> "$d"/{target}.stderr'
            f' || echo "$?" > "$d"/{target}.status'
        )
    lines += ['tar -C "$d" -cf - .', 'rm -rf "$d"']
    return "\n".join(lines)


def unpack(archive: bytes, folder: Path, names: Sequence[str]) -> list[str]:
    """Write the members of these names below `folder`; return what failed on the node."""
    problems = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}

        def content(name: str) -> bytes:
            handle = tar.extractfile(members[name]) if name in members else None
            return handle.read() if handle else b""

        for name in names:
            with output_file(folder / name) as file:
                file.write(content(name))
            if f"{name}.status" in members:
                message = content(f"{name}.stderr").decode(errors="replace").strip()[-300:]
                problems.append(f"{name} could not be taken: {message}")
    return problems


def collect(scheduler: Scheduler, nodes: Mapping[str, Node], folder: Path) -> list[str]:
    """Fetch a trial's records into its folder.

    Parameters
    ----------
    scheduler : Scheduler
        Names its native records.
    nodes : mapping of str to Node
        All nodes, with one of role ``head``.
    folder : pathlib.Path
        Gets ``native/``, ``driver/`` and ``stamps.jsonl``.

    Returns
    -------
    list of str
        What could not be taken, with the reasons.

    Raises
    ------
    SchedlabError
        When nothing could be fetched.
    """
    head = head_of(nodes)
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        stamps = {name: pool.submit(node.read, STAMPS) for name, node in nodes.items()}
        commands, native = scheduler.native_commands(), scheduler.native_files()
        driver = {name: f"{OUTPUT}/{name}" for name in _DRIVER}
        done = processes.run(
            head.command(f"sudo sh -c {shlex.quote(fetch_script(commands, native | driver))}"),
            capture_output=True,
            timeout=300,
        )
        if done.returncode:
            raise SchedlabError(
                f"the records could not be fetched: {done.stderr.decode(errors='replace')[-500:]}",
                stage="trial",
                node=head.name,
            )
        problems = unpack(done.stdout, folder / "native", [*commands, *native])
        problems += unpack(done.stdout, folder / "driver", _DRIVER)
        with output_file(folder / "stamps.jsonl") as handle:
            for name in nodes:
                # A node on which no job ran has no stamps.
                text = (stamps[name].result() or b"").decode(errors="replace")
                for stamp in parse_stamps(name, text):
                    handle.write(json.dumps(stamp, sort_keys=True).encode() + b"\n")
    return problems
