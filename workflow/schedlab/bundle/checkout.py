"""The checkout in a bundle: the files of the commit, and a patch of what was not committed."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.outside.temporary import temporary_folder
from schedlab.privacy.identity import Identity
from schedlab.results.provenance import changed_sources, git

_DIFF = (
    "--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv",
    "--no-renames", "--diff-algorithm=myers", "--unified=3", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Options that fix all that a user's own Git settings could change in the output."""
LARGEST_FILE, LARGEST_PATCH = 16 << 20, 256 << 20
"""Largest size in bytes of one file that is not committed, and of all such files together."""


@dataclass(frozen=True)
class SourceFile:
    """A file of the commit."""

    name: str
    size: int
    executable: bool
    content: IO[bytes]


class Checkout:
    """The Git repository that schedlab runs from.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the repository.

    Raises
    ------
    SchedlabError
        The folder is not the root of a repository, or the repository has no commit.
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
                f"{root} is not a Git checkout with a commit: {error.message}",
                remedy="use a clone, or commit the files (`git init && git add --all && "
                "git commit`): a bundle identifies the source by its commit",
            ) from error
        if Path(top).resolve() != root.resolve():
            raise SchedlabError(
                f"{root} is a folder inside another Git checkout, {top}",
                remedy="use a separate clone of schedlab",
            )

    def _git(
        self, *arguments: str, environment: dict[str, str] | None = None, given: bytes = b""
    ) -> bytes:
        done = processes.run(
            self._command(*arguments),
            cwd=self.root,
            added=environment,
            capture_output=True,
            input=given,
        )
        if done.returncode:
            message = done.stderr.decode(errors="replace").strip()
            raise SchedlabError(f"git {arguments[0]} failed: {message[-500:]}")
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        return [*git(self.root), *arguments]

    def files(self) -> Iterator[SourceFile]:
        """Yield the files of the commit in order of name. Read each before you take the next.

        A symbolic link becomes a file that holds the link's target. Git does the same on a file
        system without symbolic links.

        Raises
        ------
        SchedlabError
            `git archive` fails.
        """
        process = processes.start(
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
                raise SchedlabError("git archive failed: see its message above")

    def file(self, name: str) -> bytes | None:
        """Return the content of a file of the commit, or None if the commit has no such file."""
        try:
            return self._git("show", f"{self.commit}:{name}")
        except SchedlabError:
            return None

    def patch(
        self,
        identity: Identity,
        results: Path,
        others: Iterable[str] = (),
        check: Callable[[str, IO[bytes]], None] = lambda _name, _content: None,
    ) -> IO[bytes]:
        """Return the changes of the sources since the commit as a patch.

        The patch includes untracked files and excludes ignored ones. Words that identify this
        machine are replaced in the lines that the patch adds. The repository does not change:
        Git writes index and objects to a temporary folder.

        Parameters
        ----------
        identity : Identity
            Words that identify this machine.
        results : pathlib.Path
            The results folder, which is not part of the sources.
        others : iterable of str
            Further files that the pipeline reads (`changed_sources`).
        check : callable
            Is called with the name and the content of each changed file that is not text.

        Returns
        -------
        IO
            A temporary file that holds the patch. The caller closes it.

        Raises
        ------
        SchedlabError
            A changed file is too large, or `check` refuses one.
        """
        names = changed_sources(self.root, results, others)
        self._require_small(names)
        target = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads it
        if not names:
            return target
        with self._temporary_index() as environment:
            listed = "\0".join(names).encode("utf-8", "surrogateescape")
            self._git("read-tree", self.commit, environment=environment)
            self._git(
                "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul",
                environment=environment, given=listed,
            )  # fmt: skip
            with self._output("diff", *_DIFF, self.commit, environment=environment) as lines:
                for line in clean_patch(lines, identity):
                    target.write(line)
            for name in self._binary(environment):
                content = self._git("show", f":{name}", environment=environment)
                check(name, io.BytesIO(content))
        target.seek(0)
        return target

    def _require_small(self, names: Iterable[str]) -> None:
        """Refuse large files before Git reads them, because Git holds whole files in memory."""
        total = 0
        for name in names:
            try:
                size = os.lstat(self.root / name).st_size
            except OSError:  # removed
                continue
            total += size
            if size > LARGEST_FILE or total > LARGEST_PATCH:
                raise SchedlabError(
                    f"{name} is not committed and has {size} bytes: too much for a bundle's patch"
                    f" (at most {LARGEST_FILE} bytes a file and {LARGEST_PATCH} bytes in all)",
                    remedy="commit it, list it in .gitignore, or move it out of the checkout",
                )

    def _binary(self, environment: dict[str, str]) -> list[str]:
        """Return the names of changed files that still exist and are not text."""
        output = self._git(
            "diff", "--cached", "--numstat", "-z", "--no-renames", "--diff-filter=d",
            "--no-textconv", self.commit, environment=environment,
        )  # fmt: skip
        rows = output.decode("utf-8", "surrogateescape").split("\0")
        return [row.removeprefix("-\t-\t") for row in rows if row.startswith("-\t-\t")]

    @contextmanager
    def _output(self, *arguments: str, environment: dict[str, str]) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as handle:
            done = processes.run(
                self._command(*arguments), cwd=self.root, added=environment, stdout=handle
            )
            if done.returncode:
                raise SchedlabError(f"git {arguments[0]} failed: see its message above")
            handle.seek(0)
            yield handle

    @contextmanager
    def _temporary_index(self) -> Iterator[dict[str, str]]:
        """Yield variables with which Git leaves index and objects of the repository alone."""
        with temporary_folder("schedlab-index-") as folder:
            objects = self._git("rev-parse", "--git-path", "objects").decode().strip()
            (folder / "objects").mkdir()
            yield {
                "GIT_INDEX_FILE": str(folder / "index"),
                "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((self.root / objects).resolve()),
                "GIT_LITERAL_PATHSPECS": "1",
            }


_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def clean_patch(lines: Iterable[bytes], identity: Identity) -> Iterator[bytes]:
    """Replace words that identify a machine in the lines that a patch adds.

    Other lines and binary parts do not change, because the patch must still apply.

    Parameters
    ----------
    lines : iterable of bytes
        Lines of the patch, each with its line end.
    identity : Identity
        Words that identify the machine.
    """
    old = new = 0
    for line in lines:
        if old > 0 or new > 0:
            # Git counts a line `\\ No newline at end of file` on neither side.
            old -= line[:1] in {b" ", b"-", b"\n"}
            new -= line[:1] in {b" ", b"+", b"\n"}
            if line.startswith(b"+"):
                text = identity.text(line[1:].decode("utf-8", "surrogateescape"))
                line = b"+" + text.encode("utf-8", "surrogateescape")
        elif found := _HUNK.match(line):
            old, new = (int(count) if count else 1 for count in found.groups())
        yield line
