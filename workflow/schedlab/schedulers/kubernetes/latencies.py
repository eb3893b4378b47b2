"""How late real nodes start ranks and report their ends; virtual nodes take the same delays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from schedlab.schedulers.kubernetes.records import NAMESPACE, events, rank_of, received_ns
from schedlab.schedulers.rows import text_of


def latencies(native: Path, stamps: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Delays of the ranks of a trial on real nodes.

    They are what KWOK has to wait so that its nodes have the pods as long. It waits after its watch
    has told it of a pod, then it writes; only the answer to this write is the start, or the end. So
    no delay contains the write that KWOK does itself. What its watch takes cannot be seen in any
    record and is not taken out: a job on virtual nodes takes that much longer, once for its start
    and once for its end.

    Parameters
    ----------
    native : pathlib.Path
        Folder of native records.
    stamps : sequence of mapping
        Rows of stamps.jsonl, on the head's clock.

    Returns
    -------
    tuple of list of float
        For each rank, s: from the answer to the binding of its pod to its payload's first
        instruction, less the time that a report of a pod's status takes to be written (the median
        of the trial's), but not below zero; from the payload's last instruction to the arrival of
        the kubelet's report that the pod has succeeded. A rank whose pod was replaced is left out,
        as are differences below zero, which the error of two clocks makes of very small ones.
    """
    bound: dict[tuple[int, int], list[int]] = {}
    ended: dict[tuple[int, int], int] = {}
    writes: list[int] = []
    for event in events(text_of(native / "audit.log")):
        reference = event.get("objectRef") or {}
        rank = rank_of(str(reference.get("name", "")))
        if rank is None or reference.get("namespace") != NAMESPACE:
            continue
        what = (reference.get("resource"), reference.get("subresource"), event.get("verb"))
        if what == ("pods", "binding", "create"):
            bound.setdefault(rank, []).append(event["ns"])
        elif what == ("pods", "status", "patch"):
            sent = event.get("requestObject") or {}
            writes.append(event["ns"] - received_ns(event))
            if (sent.get("status") or {}).get("phase") == "Succeeded":
                ended.setdefault(rank, received_ns(event))
    write = median(writes) if writes else 0
    starts, completions = [], []
    for stamp in stamps:
        rank = (int(stamp["job"]), int(stamp["rank"]))
        if len(bound.get(rank, ())) != 1:
            continue
        if stamp["event"] == "first":
            late = int(stamp["clock_ns"]) - bound[rank][0]
            starts.append((max(0, late - write) if late >= 0 else late) / 1e9)
        elif stamp["event"] == "last" and rank in ended:
            completions.append((ended[rank] - int(stamp["clock_ns"])) / 1e9)
    return [late for late in starts if late >= 0], [late for late in completions if late >= 0]
