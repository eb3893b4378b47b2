"""Tests choose an experiment and results themselves; what `make` or a user chose does not count."""

from __future__ import annotations

import os

import pytest

for name in ("SCHEDLAB_EXPERIMENTS", "SCHEDLAB_RESULTS", "SCHEDLAB_IMAGE"):
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is too long for `make test`: only `make test-all` has the time for it."""
    if os.environ.get("SCHEDLAB_TEST_ALL") == "1":
        return
    skip = pytest.mark.skip(reason="long: only make test-all (SCHEDLAB_TEST_ALL=1) runs it")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)
