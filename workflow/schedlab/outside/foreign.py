"""Turns errors from malformed content that others made into one error that names the content."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedlab.errors import SchedlabError

_OF_THE_MACHINE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EIO}
)


@contextmanager
def foreign(what: Path | str, remedy: str, within: Path | None = None) -> Iterator[None]:
    """Turn exceptions while content of another origin is read into an error that names it.

    The reader of a file checks its form, but not each value: a text may stand in place of a
    number, or a table may lack a row. An exception that follows from this is not a fault of the
    program, so it must not end the program with a traceback.

    Parameters
    ----------
    what : pathlib.Path or str
        The content that is read.
    remedy : str
        What the user can do.
    within : pathlib.Path, optional
        Folder of the content, where other files are written meanwhile. An error of the operating
        system that names a file outside it is not turned: the content did not cause it.

    Raises
    ------
    SchedlabError
        An exception was raised. Errors of the machine (`_OF_THE_MACHINE`) are not turned, because
        the content does not cause them.
    """
    try:
        yield
    except SchedlabError:
        raise
    except MemoryError as error:
        raise SchedlabError(f"{what}: needs more memory than is free", remedy=remedy) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise
        if isinstance(error, OSError) and within is not None and _elsewhere(error, within):
            raise
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
        said = " ".join(str(error).split())[:200]
        raise SchedlabError(
            f"{what}: its content does not have the form that schedlab writes"
            f" ({type(error).__name__}: {said}, in {where})",
            remedy=remedy,
        ) from error


def _elsewhere(error: OSError, within: Path) -> bool:
    name = error.filename
    return isinstance(name, str | Path) and not Path(name).is_relative_to(within)
