"""How late real nodes start ranks and report their ends; virtual nodes take the same delays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab.schedulers.kubernetes.records import NAMESPACE, events, rank_of
from schedlab.schedulers.rows import text_of


def latencies(native: Path, stamps: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Delays of the ranks of a trial on real nodes.

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
        instruction; from the payload's last instruction to the answer to the kubelet's report that
        the pod has succeeded. A rank whose pod was replaced is left out, as are differences below
        zero, which the error of two clocks makes of very small ones.
    """
    bound: dict[tuple[int, int], list[int]] = {}
    ended: dict[tuple[int, int], int] = {}
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
            if (sent.get("status") or {}).get("phase") == "Succeeded":
                ended.setdefault(rank, event["ns"])
    starts, completions = [], []
    for stamp in stamps:
        rank = (int(stamp["job"]), int(stamp["rank"]))
        if len(bound.get(rank, ())) != 1:
            continue
        if stamp["event"] == "first":
            starts.append((int(stamp["clock_ns"]) - bound[rank][0]) / 1e9)
        elif stamp["event"] == "last" and rank in ended:
            completions.append((ended[rank] - int(stamp["clock_ns"])) / 1e9)
    return [late for late in starts if late >= 0], [late for late in completions if late >= 0]
