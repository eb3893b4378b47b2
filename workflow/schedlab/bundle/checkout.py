"""The checkout in a bundle: its files at the commit, and what was not committed as a patch."""

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

from schedlab.errors import SchedlabError
from schedlab.outside.temporary import temporary_folder
from schedlab.privacy.identity import Identity
from schedlab.results.provenance import changed_sources

_DIFF = (
    "--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv",
    "--no-renames", "--diff-algorithm=myers", "--unified=3", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Everything that a user's own settings could change."""
LARGEST_FILE, LARGEST_PATCH = 16 << 20, 256 << 20
"""Bytes of one file, and of all, that are not committed."""


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

    def _git(
        self, *arguments: str, environment: dict[str, str] | None = None, given: bytes = b""
    ) -> bytes:
        done = subprocess.run(
            self._command(*arguments),
            cwd=self.root,
            env=os.environ | (environment or {}),
            capture_output=True,
            check=False,
            input=given,
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

    def patch(
        self,
        identity: Identity,
        results: Path,
        others: Iterable[str] = (),
        check: Callable[[str, IO[bytes]], None] = lambda _name, _content: None,
    ) -> IO[bytes]:
        """Difference of the sources to the commit, untracked ones too, ignored ones not.

        In the lines that it adds, what identifies this machine is replaced. The repository itself
        stays as it is: index and objects go to a temporary place.

        Parameters
        ----------
        identity : Identity
            This machine.
        results : pathlib.Path
            The results folder, which is no source.
        others : iterable of str
            Further files that the pipeline reads (`changed_sources`).
        check : callable
            Called with the name and content of each changed file that is not text.

        Returns
        -------
        IO
            A temporary file that holds the patch.

        Raises
        ------
        SchedlabError
            When a changed file is too large, or `check` says so.
        """
        names = changed_sources(self.root, results, others)
        self._require_small(names)
        target = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads it
        if not names:
            return target
        with self._apart() as environment:
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
        """Refuse before Git reads them: it holds whole files in memory."""
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
                    f" (at most {LARGEST_FILE} bytes a file, {LARGEST_PATCH} of all)",
                    remedy="commit it, list it in .gitignore, or move it out of the checkout",
                )

    def _binary(self, environment: dict[str, str]) -> list[str]:
        """Changed files that are there and are not text."""
        told = self._git(
            "diff", "--cached", "--numstat", "-z", "--no-renames", "--diff-filter=d",
            "--no-textconv", self.commit, environment=environment,
        )  # fmt: skip
        rows = told.decode("utf-8", "surrogateescape").split("\0")
        return [row.removeprefix("-\t-\t") for row in rows if row.startswith("-\t-\t")]

    @contextmanager
    def _output(self, *arguments: str, environment: dict[str, str]) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as handle:
            done = subprocess.run(
                self._command(*arguments),
                cwd=self.root,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                check=False,
            )
            if done.returncode:
                raise SchedlabError(f"git {arguments[0]} failed", remedy="see its message above")
            handle.seek(0)
            yield handle

    @contextmanager
    def _apart(self) -> Iterator[dict[str, str]]:
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
    """Replace what identifies a machine in the lines that a patch adds.

    Lines that are there already stay: the patch must still apply. So do binary parts.
    """
    old = new = 0
    for line in lines:
        if old > 0 or new > 0:
            # A line `\\ No newline at end of file` counts for neither side.
            old -= line[:1] in {b" ", b"-", b"\n"}
            new -= line[:1] in {b" ", b"+", b"\n"}
            if line.startswith(b"+"):
                text = identity.text(line[1:].decode("utf-8", "surrogateescape"))
                line = b"+" + text.encode("utf-8", "surrogateescape")
        elif found := _HUNK.match(line):
            old, new = (int(count) if count else 1 for count in found.groups())
        yield line
