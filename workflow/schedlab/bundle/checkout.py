"""The checkout in a bundle: its files at the commit, and what was not committed as a patch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schedlab.errors import SchedlabError
from schedlab.privacy.identity import Identity

_DIFF = (
    "--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv",
    "--no-renames", "--diff-algorithm=myers", "--unified=3", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Everything that a user's own settings could change."""


@dataclass(frozen=True)
class SourceFile:
    """A file at the commit."""

    name: str
    size: int
    executable: bool
    content: IO[bytes]


class Checkout:
    """The Git repository that schedlab runs from.

    Parameters
    ----------
    root : pathlib.Path
        Its folder.

    Raises
    ------
    SchedlabError
        When it is no repository, or has no commit.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if shutil.which("git") is None:
            raise SchedlabError("git is not installed", remedy="make setup")
        try:
            self.commit = self._git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
            top = self._git("rev-parse", "--show-toplevel").decode().strip()
        except SchedlabError as error:
            raise SchedlabError(
                f"{root} is no Git checkout with a commit: {error.message}",
                remedy="bundles name the source by its commit: use a clone, or commit the files "
                "(`git init && git add --all && git commit`)",
            ) from error
        if Path(top).resolve() != root.resolve():
            raise SchedlabError(
                f"{root} is a folder inside another Git checkout, {top}",
                remedy="use a clone of schedlab of its own",
            )

    def _git(self, *arguments: str, environment: dict[str, str] | None = None) -> bytes:
        done = subprocess.run(
            self._command(*arguments),
            cwd=self.root,
            env=os.environ | (environment or {}),
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            message = done.stderr.decode(errors="replace").strip()
            raise SchedlabError(
                f"git {arguments[0]} failed: {message[-500:]}",
                remedy="mend the checkout (`git status`)",
            )
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        # Whoever runs schedlab trusts this folder already, also where another user owns it.
        return ["git", "-c", f"safe.directory={self.root.resolve()}", *arguments]

    def files(self) -> Iterator[SourceFile]:
        """Yield the files of the commit, sorted; each must be read before the next.

        A symbolic link becomes a file that holds its target, as Git makes it where there are none.
        """
        process = subprocess.Popen(
            self._command("archive", "--format=tar", self.commit),
            cwd=self.root,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for entry in archive:
                    if entry.issym():
                        target = entry.linkname.encode()
                        with tempfile.SpooledTemporaryFile() as handle:
                            handle.write(target)
                            handle.seek(0)
                            yield SourceFile(entry.name, len(target), False, handle)
                    elif entry.isfile():
                        content = archive.extractfile(entry)
                        assert content
                        yield SourceFile(entry.name, entry.size, bool(entry.mode & 0o100), content)
        finally:
            process.stdout.close()
            if process.wait() not in {0, -13}:
                raise SchedlabError("git archive failed", remedy="mend the checkout (`git fsck`)")

    def file(self, name: str) -> bytes | None:
        """Content of a file at the commit; None where there is none."""
        try:
            return self._git("show", f"{self.commit}:{name}")
        except SchedlabError:
            return None

    def patch(self, identity: Identity) -> bytes:
        """Difference of the working folder to the commit, untracked files too, ignored ones not.

        In the lines that it adds, what identifies this machine is replaced. The repository itself
        stays as it is: index and objects go to a temporary place.
        """
        with self._apart() as environment:
            self._git("add", "--all", environment=environment)
            text = self._git("diff", *_DIFF, self.commit, environment=environment)
        return neutral_patch(text, identity)

    @contextmanager
    def _apart(self) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix="schedlab-index-") as name:
            folder = Path(name)
            objects = self._git("rev-parse", "--git-path", "objects").decode().strip()
            index = self.root / self._git("rev-parse", "--git-path", "index").decode().strip()
            if index.is_file():
                shutil.copyfile(index, folder / "index")
            (folder / "objects").mkdir()
            yield {
                "GIT_INDEX_FILE": str(folder / "index"),
                "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((self.root / objects).resolve()),
            }


_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def neutral_patch(patch: bytes, identity: Identity) -> bytes:
    """Replace what identifies a machine in the lines that a patch adds.

    Lines that are there already stay: the patch must still apply. So do binary parts.
    """
    result = []
    old = new = 0
    for line in patch.split(b"\n"):
        if old > 0 or new > 0:
            old -= line[:1] in {b" ", b"-", b""}
            new -= line[:1] in {b" ", b"+", b""}
            if line.startswith(b"+"):
                text = identity.text(line[1:].decode("utf-8", "surrogateescape"))
                line = b"+" + text.encode("utf-8", "surrogateescape")
        elif found := _HUNK.match(line):
            old, new = (int(count) if count else 1 for count in found.groups())
        result.append(line)
    return b"\n".join(result)
