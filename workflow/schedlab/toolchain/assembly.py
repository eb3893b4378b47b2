"""Collects the tools, and writes a record to share and a file of paths for this machine.

``results/toolchain.json`` has names, versions, digests and where a tool came from. It is the same
on every machine with the same tools. ``results/.toolchain/`` has this machine's paths and the CLI
configuration made from them. It is made again when it no longer fits the machine.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.paths import CHECKOUT, TOOL_MODULES
from schedlab.results.records import RecordWriter, digest, write_json
from schedlab.toolchain.build import HOST_TOOLS, GoBuilder, download_prometheus
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.tools import (
    PACKER,
    PROMETHEUS,
    Tool,
    discover,
    discover_plugin,
    discover_provider,
    discover_system,
    discover_terraform,
    go_platform,
    probe_version,
)

PROVIDER_SOURCE = "dmacvicar/libvirt"
PLUGIN_SOURCE = "github.com/hashicorp/qemu"
REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")
"""Hosts under which Terraform and OpenTofu look the same provider up in a mirror."""

LOCAL_SCHEMA = "schedlab.toolchain-local/1"


@dataclass(frozen=True)
class Toolchain:
    """Every tool of this machine, and the environment in which they find one another.

    Attributes
    ----------
    tools : dict of str to Tool
        By the name that stages ask for.
    provider_mirror : pathlib.Path
        Terraform filesystem mirror with the libvirt provider.
    plugin_folder : pathlib.Path
        Packer plugin folder with the qemu plugin.
    cli_configuration : pathlib.Path
        Terraform CLI configuration that names the mirror and nothing else.
    """

    tools: dict[str, Tool]
    provider_mirror: Path
    plugin_folder: Path
    cli_configuration: Path

    @classmethod
    def load(cls, record: Path) -> Toolchain:
        """Load the tools of this machine for the results that `record` belongs to.

        Paths come from the machine-local file beside the record. If a tool has moved or changed, or
        the results came from another machine, the tools are located again. The stages' records
        then have the versions that are really used.

        Parameters
        ----------
        record : pathlib.Path
            ``results/toolchain.json``.
        """
        local = record.parent / ".toolchain" / "tools.json"
        try:
            return cls._read(local)
        except (OSError, ValueError, KeyError, TypeError):
            return cls.assemble(local.parent)

    @classmethod
    def assemble(cls, folder: Path, cache: Cache | None = None) -> Toolchain:
        """Locate or build every tool and write the machine-local files into `folder`."""
        cache = cache or Cache.default()
        tools = {tool.name: tool for tool in locate_tools(cache)}
        mirror = _provider_mirror(cache, tools["terraform-provider-libvirt"])
        plugins = _plugin_folder(cache, tools["packer"], tools["packer-plugin-qemu"])
        folder = folder.absolute()
        # Several jobs of a run may notice at the same time that the machine has changed.
        with cache.locked(f"assemble-{digest(str(folder))[:16]}"):
            folder.mkdir(parents=True, exist_ok=True)
            configuration = folder / "terraform.tfrc"
            configuration.write_text(_cli_configuration(mirror), encoding="utf-8")
            _link_programs(folder / "bin", tools)
            toolchain = cls(tools, mirror, plugins, configuration)
            toolchain._write(folder / "tools.json")
        return toolchain

    def path(self, name: str) -> Path:
        """Path of a tool's executable.

        Raises
        ------
        SchedlabError
            When the toolchain has no tool of that name.
        """
        return self._tool(name).path

    def versions(self, *names: str) -> dict[str, str]:
        """Versions of some tools (default: all), for a stage's record."""
        return {name: self._tool(name).version for name in names or self.tools}

    def environment(self) -> dict[str, str]:
        """Variables to add to the environment of Terraform, Packer and what they start."""
        return {
            "TF_CLI_CONFIG_FILE": str(self.cli_configuration),
            "PACKER_PLUGIN_PATH": str(self.plugin_folder),
        }

    @property
    def programs(self) -> Path:
        """Folder with a link to each tool that need not be on PATH, for people and for tests."""
        return self.cli_configuration.parent / "bin"

    def record(self) -> dict[str, dict[str, str]]:
        """Describe the tools by what can be shared, so without paths of this machine."""
        return {
            name: {
                "program": tool.program,
                "version": tool.version,
                "sha256": tool.sha256,
                "source": tool.source,
            }
            for name, tool in sorted(self.tools.items())
        }

    def _tool(self, name: str) -> Tool:
        if name not in self.tools:
            raise SchedlabError(
                f"the toolchain has no tool {name!r}",
                stage="toolchain",
                remedy=f"use one of {', '.join(sorted(self.tools))}",
            )
        return self.tools[name]

    def _write(self, local: Path) -> None:
        write_json(
            local,
            {
                "schema": LOCAL_SCHEMA,
                "provider_mirror": str(self.provider_mirror),
                "plugin_folder": str(self.plugin_folder),
                "cli_configuration": str(self.cli_configuration),
                "tools": {
                    name: {
                        "path": str(tool.path),
                        "version": tool.version,
                        "source": tool.source,
                        "program": tool.program,
                        "sha256": tool.sha256,
                        "seen": _seen(tool.path),
                    }
                    for name, tool in self.tools.items()
                },
            },
        )

    @classmethod
    def _read(cls, local: Path) -> Toolchain:
        """Read the machine-local file.

        Raises
        ------
        OSError, ValueError, KeyError, TypeError
            When it does not describe this machine as it is now.
        """
        body = json.loads(local.read_text(encoding="utf-8"))
        if body["schema"] != LOCAL_SCHEMA:
            raise ValueError(f"schema {body['schema']!r}")
        tools = {}
        for name, entry in body["tools"].items():
            path = Path(entry["path"])
            if entry.pop("seen") != _seen(path):
                raise ValueError(f"{path} changed")
            tools[name] = Tool(name=name, **(entry | {"path": path}))
        paths = {
            key: Path(body[key])
            for key in ("provider_mirror", "plugin_folder", "cli_configuration")
        }
        for path in (*paths.values(), paths["cli_configuration"].parent / "bin"):
            path.stat()
        return cls(tools=tools, **paths)


def locate_tools(cache: Cache) -> list[Tool]:
    """Find every tool that the stages call, building or fetching the ones that are missing.

    Returns
    -------
    list of Tool
        The distribution's programs, Terraform, Packer, their plugins and Prometheus.

    Raises
    ------
    SchedlabError
        When programs of the distribution are missing (it names all), or a build fails.
    """
    cache.remove_partial()
    tools = discover_system()
    tools.append(discover(PROMETHEUS) or _downloaded_prometheus(cache))
    with GoBuilder(cache) as builder:
        tools.append(discover_terraform() or _built(builder, "opentofu", "terraform", "tofu"))
        packer = discover(PACKER) or _built(builder, "packer")
        plugin = discover_plugin(packer.path)
        provider = discover_provider()
        tools += [
            packer,
            _existing("packer-plugin-qemu", plugin) or _built(builder, "packer-plugin-qemu"),
            _existing("terraform-provider-libvirt", provider)
            or _built(builder, "terraform-provider-libvirt"),
        ]
    return tools


def prepare_toolchain(output: Path) -> None:
    """Find or build all tools and write the record that can be shared.

    Parameters
    ----------
    output : pathlib.Path
        The record, usually ``results/toolchain.json``; this machine's paths go to
        ``.toolchain/`` beside it.
    """
    pins = [TOOL_MODULES / tool / name for tool in HOST_TOOLS for name in ("go.mod", "go.sum")]
    writer = RecordWriter("toolchain", "toolchain", CHECKOUT, output.parent, inputs=pins)
    toolchain = Toolchain.assemble(output.parent / ".toolchain")
    writer.write(output, tools=toolchain.record())


def toolchain_record() -> dict[str, dict[str, str]]:
    """Describe this machine's tools by version, SHA-256 and source, building missing ones."""
    cache = Cache.default()
    with cache.scratch("toolchain-record") as folder:
        return Toolchain.assemble(folder, cache).record()


def _link_programs(folder: Path, tools: dict[str, Tool]) -> None:
    """Link the tools that were built or fetched, under their usual names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for tool in tools.values():
        if tool.source != "path" or tool.name in (
            "packer-plugin-qemu",
            "terraform-provider-libvirt",
        ):
            (folder / tool.program).symlink_to(tool.path)


def _seen(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _built(builder: GoBuilder, module: str, name: str = "", program: str = "") -> Tool:
    path, version = builder.build(module)
    return Tool.at(name or module, path, version, "built", program or name or module)


def _existing(name: str, found: tuple[Path, str] | None) -> Tool | None:
    return Tool.at(name, found[0], found[1], "path") if found else None


def _downloaded_prometheus(cache: Cache) -> Tool:
    path = download_prometheus(cache)
    version = probe_version(path, PROMETHEUS)
    if version is None or not PROMETHEUS.suits(version):
        raise SchedlabError(
            f"the distribution's prometheus ({version or 'it does not run'}) is too old",
            stage="toolchain",
            remedy="put a Prometheus of version 2.33 or later on PATH",
        )
    return Tool.at("prometheus", path, version, "downloaded")


def _provider_mirror(cache: Cache, provider: Tool) -> Path:
    """Lay the provider out as a filesystem mirror for Terraform and for OpenTofu."""

    def build(target: Path) -> None:
        for registry in REGISTRIES:
            folder = target / registry / PROVIDER_SOURCE / provider.version
            folder = folder / "_".join(go_platform())
            folder.mkdir(parents=True)
            copy = folder / f"terraform-provider-libvirt_v{provider.version}"
            shutil.copyfile(provider.path, copy)
            copy.chmod(0o755)

    inputs = {
        "provider": provider.sha256,
        "version": provider.version,
        "platform": "_".join(go_platform()),
    }
    return cache.get_or_build("provider-mirror", inputs, build)


def _plugin_folder(cache: Cache, packer: Tool, plugin: Tool) -> Path:
    """Install the qemu plugin into a folder of its own, by Packer itself."""

    def build(target: Path) -> None:
        done = processes.run(
            [packer.path, "plugins", "install", "--path", plugin.path, PLUGIN_SOURCE],
            added={"PACKER_PLUGIN_PATH": str(target)},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise SchedlabError(
                f"packer does not take its qemu plugin: {done.stdout}{done.stderr}",
                stage="toolchain",
            )

    inputs = {"packer": packer.sha256, "plugin": plugin.sha256, "source": PLUGIN_SOURCE}
    return cache.get_or_build("packer-plugins", inputs, build)


def _cli_configuration(mirror: Path) -> str:
    """CLI configuration with which the libvirt provider is taken only from the mirror."""
    names = ", ".join(json.dumps(f"{host}/{PROVIDER_SOURCE}") for host in REGISTRIES)
    return (
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path    = {json.dumps(str(mirror))}\n"
        f"    include = [{names}]\n"
        "  }\n"
        "  direct {\n"
        f"    exclude = [{names}]\n"
        "  }\n"
        "}\n"
    )
