"""Asks a real Prometheus every query of every panel of the dashboards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from schedlab.dashboards.panels import Query, filled, names, queries
from schedlab.dashboards.serve import Served

STEP = 5
"""Seconds between two points of a graph."""


def empty_panels(
    served: Served, others: Mapping[str, Sequence[tuple[str, str]]] | None = None
) -> list[str]:
    """Panels and queries that have no number over the range that is served.

    Parameters
    ----------
    served : Served
        What is served.
    others : mapping, optional
        Dashboard -> panels with a query, in place of those of the dashboards' files.
    """
    asked = (
        [query for name in names() for query in queries(name)]
        if others is None
        else [Query(*pair, False) for pairs in others.values() for pair in pairs]
    )
    return [f"{query.panel}: {query.expression}" for query in asked if not _shows(served, query)]


def _shows(served: Served, query: Query) -> bool:
    text = filled(query.expression, served.last - served.first)
    words: dict[str, Any] = {"query": text}
    if query.instant:
        words |= {"time": served.last}
    else:
        words |= {"start": served.first, "end": served.last, "step": STEP}
    path = "query" if query.instant else "query_range"
    answer = served.server.session().get(
        f"{served.server.url}/api/v1/{path}", params=words, timeout=60
    )
    assert answer.ok, f"{text}: {answer.text}"
    found = answer.json()["data"]["result"]
    points = [pair for one in found for pair in one.get("values", [one.get("value")])]
    return any(math.isfinite(float(value)) for _, value in points)
