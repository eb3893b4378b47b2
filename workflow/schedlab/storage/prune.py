"""Removes what nothing needs. It never follows a link, and never works beside a run."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from schedlab.errors import SchedlabError
from schedlab.storage.marks import is_plain_file, no_run
from schedlab.storage.needed import Plan
from schedlab.toolchain.cache import Cache


@contextlib.contextmanager
def undisturbed(results: Path, cache: Cache) -> Iterator[None]:
    """Keep runs away from a results folder and from the cache.

    Raises
    ------
    SchedlabError
        A run, or a job that was started without one, works on the folder; or a run of any checkout
        uses the cache.
    """
    with contextlib.ExitStack() as stack:
        if results.exists():
            stack.enter_context(no_run(results))
        try:
            stack.enter_context(cache.unused())
        except BlockingIOError:
            raise SchedlabError(
                f"nothing is removed: a run, of this checkout or of another, uses {cache.root}",
                remedy="wait for it or end it",
            ) from None
        yield


def prune(results: Path, cache: Cache, plan: Plan) -> Iterator[Path]:
    """Remove what a plan lists; yield what is gone.

    Folders of the results that are empty then go too. Entries of the cache that another process is
    building stay.
    """
    for path in (path for item in plan.results for path in item.paths):
        # Neither follows links, also none that take the place of a folder meanwhile.
        if is_plain_file(path):
            path.unlink()
        else:
            shutil.rmtree(path)
        yield path
        for above in path.relative_to(results).parents:
            if above.name:
                with contextlib.suppress(OSError):
                    (results / above).rmdir()
    for entry in (entry for item in plan.cache for entry in item.paths):
        with contextlib.suppress(BlockingIOError):
            cache.remove(entry)
            yield entry
