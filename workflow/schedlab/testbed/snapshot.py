"""Save a running cluster to files, and restore it from them onto throw-away overlays.

A snapshot folder holds, for every node, its memory (libvirt's save file), its disk (a qcow2 overlay
whose backing path is relative, so that ``results/`` may move), its cloud-init seed and the domain's
XML; and the network's XML. ``cluster.json`` names them.

A guest with a passed-through device cannot be saved with its memory. Its cluster is shut down and
its disks are frozen instead; "restoring" it then means to boot it from them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import libvirt

from schedlab.errors import SchedlabError
from schedlab.images.qcow2 import create_overlay, move_disk
from schedlab.privacy.private_files import copy_secret
from schedlab.results.records import write_json
from schedlab.testbed.session import Testbed

MANIFEST = "cluster.json"
SCHEMA = "schedlab.snapshot/1"
SHUTDOWN = 180.0
"""Seconds that a guest may take to shut down."""


def redirect_devices(xml: str, disk: Path, seed: Path | None, console: Path) -> str:
    """Point a domain's disk, seed and console log at other files; change nothing else.

    Parameters
    ----------
    xml : str
        Domain XML, from a save file or a live domain.
    disk, seed : pathlib.Path
        The file behind ``vda`` and, where there is one, the file behind the seed's device.
    console : pathlib.Path
        Log file of the serial console.
    """
    root = ElementTree.fromstring(xml)
    for element in root.iterfind("./devices/disk"):
        source, target = element.find("source"), element.find("target")
        if source is None or target is None:
            continue
        # The saved chain of backing files has old paths. Without it libvirt finds the chain itself.
        for chain in element.findall("backingStore"):
            element.remove(chain)
        source.attrib.pop("index", None)
        if target.get("dev") == "vda":
            source.set("file", str(disk.resolve()))
        elif seed is not None:
            source.set("file", str(seed.resolve()))
    for tag in ("serial", "console"):
        for element in root.iterfind(f"./devices/{tag}"):
            for item in (*element.findall("log"), *element.findall("source")):
                for key in ("file", "path"):
                    if item.get(key, "").startswith("/") and not item.get(key, "").startswith(
                        "/dev/"
                    ):
                        item.set(key, str(console.resolve()))
    return ElementTree.tostring(root, encoding="unicode")


def disk_files(xml: str) -> dict[str, Path]:
    """Map target device (``vda``, ``vdb``) to the file behind it."""
    root = ElementTree.fromstring(xml)
    files = {}
    for element in root.iterfind("./devices/disk"):
        source, target = element.find("source"), element.find("target")
        if source is not None and target is not None and source.get("file"):
            files[target.attrib["dev"]] = Path(source.attrib["file"])
    return files


def _parallel(nodes: list[str], action: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
        for future in [pool.submit(action, node) for node in nodes]:
            future.result()


def _save_memory(domains: dict[str, libvirt.virDomain], folder: Path) -> None:
    # All nodes are stopped within milliseconds of each other before the slow part begins, so that
    # their clocks keep agreeing.
    for domain in domains.values():
        domain.suspend()

    def save_one(name: str) -> None:
        domains[name].saveFlags(
            str((folder / f"{name}.save").resolve()), None, libvirt.VIR_DOMAIN_SAVE_PAUSED
        )

    _parallel(list(domains), save_one)


def _shut_down(domains: dict[str, libvirt.virDomain]) -> None:
    """Let every guest shut itself down, so that its disk is consistent."""
    for domain in domains.values():
        domain.shutdown()
    deadline = time.monotonic() + SHUTDOWN
    for name, domain in domains.items():
        while _is_active(domain):
            if time.monotonic() > deadline:
                raise SchedlabError(
                    f"the guest {name} did not shut down within {SHUTDOWN:g} s", node=name
                )
            time.sleep(0.5)


def _is_active(domain: libvirt.virDomain) -> bool:
    try:
        return bool(domain.isActive())
    except libvirt.libvirtError:
        return False  # a transient domain no longer exists once it is off


def save(
    testbed: Testbed,
    cluster: str,
    nodes: list[dict[str, Any]],
    backing: dict[str, Path],
    folder: Path,
    *,
    reset: Literal["restore", "boot"] = "restore",
) -> list[Path]:
    """Pause a whole cluster and save it into `folder`.

    Parameters
    ----------
    testbed : Testbed
        The job's testbed, on which the cluster runs.
    cluster : str
        Cluster id.
    nodes : list of dict
        Node descriptions (``name``, ``role``, ``address``, ...), stored in the manifest.
    backing : dict of str to pathlib.Path
        The file that each node's disk is an overlay of.
    folder : pathlib.Path
        Snapshot folder; replaced if it exists.
    reset : {"restore", "boot"}
        Whether memory is saved too, or guests are shut down and only their disks are kept.

    Returns
    -------
    list of pathlib.Path
        The files written. The cluster no longer runs afterwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = [node["name"] for node in nodes]
    domains = {n: testbed.connection.lookupByName(testbed.domain_name(cluster, n)) for n in names}
    network = testbed.connection.networkLookupByName(testbed.network_name(cluster))
    (folder / "network.xml").write_text(network.XMLDesc())
    live = {name: domain.XMLDesc() for name, domain in domains.items()}
    if reset == "restore":
        _save_memory(domains, folder)
    else:
        _shut_down(domains)
    entries = []
    for node in nodes:
        name = node["name"]
        (folder / f"{name}.xml").write_text(live[name])
        files = disk_files(live[name])
        relative = os.path.relpath(backing[name].resolve(), folder.resolve())
        move_disk(files["vda"], folder / f"{name}.qcow2", relative)
        # It holds the cluster's keys, as the memory does, which libvirt saves with this mode.
        (folder / f"{name}.qcow2").chmod(0o600)
        entry = {**node, "disk": f"{name}.qcow2", "xml": f"{name}.xml"}
        if reset == "restore":
            entry["memory"] = f"{name}.save"
        seed = next((path for device, path in files.items() if device != "vda"), None)
        if seed is not None:
            copy_secret(seed, folder / f"{name}.seed.iso")
            entry["seed"] = f"{name}.seed.iso"
        entries.append(entry)
    write_json(
        folder / MANIFEST,
        {"schema": SCHEMA, "cluster": cluster, "network": "network.xml", "nodes": entries},
    )
    return sorted(folder.iterdir())


def load_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a snapshot folder.

    Raises
    ------
    SchedlabError
        There is none, or it is of another schema.
    """
    path = folder / MANIFEST
    remedy = f"remove {folder.parent / 'record.json'} and run snakemake again"
    if not path.exists():
        raise SchedlabError(f"there is no snapshot in {folder}", remedy=remedy)
    manifest: dict[str, Any] = json.loads(path.read_text())
    if (found := manifest.get("schema")) != SCHEMA:
        raise SchedlabError(f"{path} has schema {found!r}, expected {SCHEMA!r}", remedy=remedy)
    return manifest


def _renamed_network(testbed: Testbed, cluster: str, xml: str) -> str:
    root = ElementTree.fromstring(xml)
    name = root.find("name")
    assert name is not None
    name.text = testbed.network_name(cluster)
    for tag in ("uuid", "bridge"):
        for element in root.findall(tag):
            if tag == "uuid":
                root.remove(element)
            else:
                element.attrib.pop("name", None)
                # With the spanning tree protocol, a new bridge forwards nothing for 4 s (twice the
                # kernel's smallest delay). A network with one bridge has no loops to prevent.
                element.set("stp", "off")
    root.attrib.pop("connections", None)
    return ElementTree.tostring(root, encoding="unicode")


def restore(testbed: Testbed, folder: Path, *, paused: bool = False) -> dict[str, Any]:
    """Restore a cluster onto throw-away overlays in the job's scratch folder.

    The snapshot's own files are only read. The machines get the names that they were saved under,
    because libvirt restores no memory under another name: clusters that are configured on the same
    provisioned machines run under the id of these, one cluster at a time.

    Parameters
    ----------
    testbed : Testbed
        The job's testbed.
    folder : pathlib.Path
        Snapshot folder.
    paused : bool
        Leave the nodes paused. Nodes that boot are then paused before their first instruction.

    Returns
    -------
    dict
        ``cluster`` (the id that the machines run under), ``nodes`` (the manifest's), ``backing``
        (each overlay's backing file), ``seconds`` that the restore took, ``resume_skew_ns`` between
        the first and the last node's resume.
    """
    start = time.monotonic()
    manifest = load_manifest(folder)
    cluster = str(manifest["cluster"])
    scratch = testbed.scratch / cluster
    scratch.mkdir(parents=True, exist_ok=True)
    connection = testbed.connection
    network_xml = (folder / manifest["network"]).read_text()
    saved_network = ElementTree.fromstring(network_xml).findtext("name", "")
    connection.networkCreateXML(_renamed_network(testbed, cluster, network_xml))
    nodes = {node["name"]: node for node in manifest["nodes"]}

    def restore_node(name: str) -> None:
        node = nodes[name]
        overlay = create_overlay(folder / node["disk"], scratch / f"{name}.qcow2")
        seed = scratch / f"{name}.seed.iso" if "seed" in node else None
        if seed is not None:
            copy_secret(folder / node["seed"], seed)
        console = scratch / f"{name}.console.log"
        memory = str((folder / node["memory"]).resolve()) if "memory" in node else None
        saved = (
            connection.saveImageGetXMLDesc(memory) if memory else (folder / node["xml"]).read_text()
        )
        xml = redirect_devices(saved, overlay, seed, console)
        xml = xml.replace(saved_network, testbed.network_name(cluster))
        if memory:
            connection.restoreFlags(memory, xml, libvirt.VIR_DOMAIN_SAVE_PAUSED)
        else:
            connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)

    _parallel(list(nodes), restore_node)
    domains = [connection.lookupByName(testbed.domain_name(cluster, name)) for name in nodes]
    first = time.monotonic_ns()
    if not paused:
        for domain in domains:
            domain.resume()
    return {
        "cluster": cluster,
        "nodes": manifest["nodes"],
        "backing": {name: folder / node["disk"] for name, node in nodes.items()},
        "resume_skew_ns": time.monotonic_ns() - first,
        "seconds": time.monotonic() - start,
    }
