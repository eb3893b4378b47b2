"""Content that others made: whatever is wrong with its shape ends in one named error."""

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
def foreign(what: Path | str, remedy: str) -> Iterator[None]:
    """Turn what goes wrong while content of another origin is read into an error that names it.

    Shapes are checked where content is read, but not each of the thousand things that a value can
    be: a text in place of a number, a table that lacks a row. Such an error is not a fault of the
    program, and must not end it with a traceback.

    Parameters
    ----------
    what : pathlib.Path or str
        What is read.
    remedy : str
        What to do about it.

    Raises
    ------
    SchedlabError
        For every exception but those of `_OF_THE_MACHINE`: they are no fault of the content.
    """
    try:
        yield
    except SchedlabError:
        raise
    except MemoryError as error:
        raise SchedlabError(f"{what}: needs more memory than there is", remedy=remedy) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
        said = " ".join(str(error).split())[:200]
        raise SchedlabError(
            f"{what}: its content has not the form that schedlab writes"
            f" ({type(error).__name__}: {said}, in {where})",
            remedy=remedy,
        ) from error
