"""Compiles the guests' C programs on the host, such as the payload that every job runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.last_words import last_words
from schedlab.paths import GUEST_PROGRAMS

FLAGS = ("-std=gnu11", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror")


def compile_program(name: str, output: Path) -> Path:
    """Compile a guest program statically, so that it runs in every guest and container.

    Parameters
    ----------
    name : str
        Name of its source file, without ``.c``.
    output : pathlib.Path
        The program.

    Returns
    -------
    pathlib.Path
        `output`. The same compiler gives the same bytes, because the source is named without its
        folder and does not use the time of the build.

    Raises
    ------
    SchedlabError
        When there is no compiler, or it fails; it has the compiler's message.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise SchedlabError("no C compiler is installed", stage="image", remedy="make setup")
    output.parent.mkdir(parents=True, exist_ok=True)
    done = processes.run(
        [compiler, *FLAGS, "-o", str(output.resolve()), f"{name}.c"],
        cwd=GUEST_PROGRAMS,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lacks_libc = re.search(r"cannot find -lc|\.h: No such file|cannot find crt", done.stderr)
        raise SchedlabError(
            f"{name}.c does not compile: {last_words(done.stderr)}",
            stage="image",
            remedy="install libc6-dev (make setup)" if lacks_libc else None,
        )
    output.chmod(0o755)
    return output
