"""Asks Prometheus every query of every panel, and tells which panels have nothing to show."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import requests

from schedlab.dashboards.panels import Query, filled, names, queries
from schedlab.dashboards.serve import Served

POINTS = 400
"""Points of a graph, as a page has room for."""


def empty_panels(served: Served, asked: Iterable[Query] | None = None) -> list[str]:
    """Return the panels with a query that has no number over the range that is served.

    Parameters
    ----------
    served : Served
        What is served.
    asked : iterable of Query, optional
        Queries; by default those of all dashboards.

    Returns
    -------
    list of str
        ``panel: query`` of each.

    Raises
    ------
    requests.RequestException
        Prometheus refuses a query, which is then wrong, or does not answer.
    """
    wanted = asked if asked is not None else [q for name in names() for q in queries(name)]
    session = served.server.session()
    return [
        f"{query.panel}: {query.expression}"
        for query in wanted
        if not _shows(session, served, query)
    ]


def _shows(session: requests.Session, served: Served, query: Query) -> bool:
    seconds = served.last - served.first
    words: dict[str, Any] = {"query": filled(query.expression, seconds)}
    if query.instant:
        words |= {"time": served.last}
    else:
        words |= {"start": served.first, "end": served.last, "step": max(1.0, seconds / POINTS)}
    path = "query" if query.instant else "query_range"
    answer = session.get(f"{served.server.url}/api/v1/{path}", params=words, timeout=60)
    answer.raise_for_status()
    found = answer.json()["data"]["result"]
    points = [pair for one in found for pair in one.get("values", [one.get("value")])]
    return any(math.isfinite(float(value)) for _, value in points)
