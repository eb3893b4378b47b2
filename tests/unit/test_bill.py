"""The bill of materials of an image: packages, programs, and the licences that they declare."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from schedlab.bundle.contents import Choice
from schedlab.images.bill import BILL, LICENCE, NOT_DECLARED, bill_of_materials
from schedlab.images.go_modules import GoModule, linked_modules
from schedlab.images.licences import declared_licences
from schedlab.toolchain.installation import Packed

DEP5 = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: munge

Files: *
Copyright: 2007 Somebody
License: GPL-3+
 The text.

Files: debian/*
Copyright: 2008 Somebody
License: GPL-3+ and
 Expat

Files: a
Copyright: 2008 Somebody
License: MIT
"""
SPECS = {
    "mmdebstrap": {"kind": "mmdebstrap", "suite": "trixie"},
    "cloud": {"kind": "cloud", "os": "ubuntu"},
    "rocky": {"kind": "cloud", "os": "rocky"},
}
MODULES = """\
path\tk8s.io/kubernetes/cmd/kubectl
mod\tk8s.io/kubernetes\tv1.34.4\th1:x=
dep\tgithub.com/a/b\tv1.0.0\th1:x=
dep\tk8s.io/api\tv0.0.0
=>\tk8s.io/api\tv0.34.4\th1:x=
build\t-trimpath=true
"""


def copyright_file(root: Path, package: str, text: str | bytes) -> Path:
    file = root / "usr/share/doc" / package / "copyright"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def text(content: bytes) -> bytes:
    """A text in a program, with its length before it: a varint."""
    length, head = len(content), b""
    while length >= 0x80:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + content


def go_program(path: Path, modules: str = MODULES) -> Path:
    """A file with what Go's linker writes into a program."""
    mark = bytes(range(16))
    header = b"\xff Go buildinf:" + b"\x08\x02" + bytes(16)
    info = text(mark + modules.encode() + mark)
    # The magic bytes alone, as in a program that looks for them.
    decoy = b"\x7fELF" + b"\xff Go buildinf:" + bytes(14)
    path.write_bytes(decoy + header + text(b"go1.26.8 X:none") + info + bytes(64))
    return path


def test_reads_the_licences_that_packages_declare(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    copyright_file(root, "munge", DEP5)
    copyright_file(root, "zlib1g", "zlib is free software, and so on.\n")
    copyright_file(root, "torn", DEP5.replace("Files: *", "Files:\n\xff").encode("latin-1"))
    copyright_file(root, "binary", bytes(range(256)))
    (root / "usr/share/doc/libmunge2").symlink_to("munge")
    copyright_file(outside, "host", DEP5)
    (root / "usr/share/doc/hostile").symlink_to(outside / "usr/share/doc/host")
    (root / "usr/share/doc/loop").symlink_to("loop")
    names = ["munge", "zlib1g", "torn", "binary", "libmunge2", "hostile", "loop", "absent"]
    found = declared_licences(root, names)
    assert found["munge"] == found["libmunge2"] == ["GPL-3+", "GPL-3+ and", "MIT"]
    assert not {"zlib1g", "binary", "hostile", "loop", "absent"} & found.keys()


def test_reads_the_modules_of_a_go_program(tmp_path: Path) -> None:
    assert linked_modules(go_program(tmp_path / "kubectl")) == [
        GoModule("github.com/a/b", "v1.0.0"),
        GoModule("k8s.io/api", "v0.34.4"),
        GoModule("k8s.io/kubernetes", "v1.34.4"),
        GoModule("stdlib", "1.26.8"),
    ]


@pytest.mark.parametrize("size", [0, 10, 40, 66, 70, 90])
def test_a_file_that_is_no_whole_go_program_has_no_modules_or_some(
    tmp_path: Path, size: int
) -> None:
    program = go_program(tmp_path / "torn")
    program.write_bytes(program.read_bytes()[:size])
    assert {module.path for module in linked_modules(program)} <= {"stdlib"}


def made(tmp_path: Path, kind: str = "mmdebstrap") -> str:
    return bill_of_materials(
        "slurm",
        SPECS[kind],
        "0" * 64,
        "munge=0.5.16-1\nzlib1g=1:1.3.dfsg+really1.3.1-1+b1\n",
        {"munge": ["GPL-3+", "MIT"]},
        [go_program(tmp_path / "kubectl")],
    )


@pytest.mark.parametrize("kind", SPECS)
def test_the_bill_follows_the_schema_of_cyclonedx(tmp_path: Path, kind: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made(tmp_path, kind)) is None
    broken = made(tmp_path, kind).replace('"operating-system"', '"pudding"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_the_bill_names_versions_and_licences(tmp_path: Path) -> None:
    bill = json.loads(made(tmp_path))
    parts = {part["name"]: part for part in bill["components"]}
    munge, zlib, kubectl = parts["munge"], parts["zlib1g"], parts["kubectl"]
    assert munge["version"] == "0.5.16-1"
    assert munge["purl"] == "pkg:deb/debian/munge@0.5.16-1?distro=trixie"
    stated = {tuple(entry["license"].items())[1] for entry in munge["licenses"]}
    assert stated == {("name", "GPL-3+"), ("id", "MIT")}
    none = [{"name": LICENCE, "value": NOT_DECLARED}]
    assert zlib["properties"] == none and "licenses" not in zlib
    assert {part["name"] for part in kubectl["components"]} > {"k8s.io/kubernetes", "stdlib"}
    assert all(part["properties"] == none for part in kubectl["components"])
    cloud = {part["name"]: part for part in json.loads(made(tmp_path, "cloud"))["components"]}
    assert cloud["munge"]["purl"] == "pkg:deb/ubuntu/munge@0.5.16-1"
    rocky = {part["name"]: part for part in json.loads(made(tmp_path, "rocky"))["components"]}
    assert rocky["munge"]["purl"] == "pkg:rpm/rocky/munge@0.5.16-1"


def installation(folder: Path) -> Packed:
    """An archive as `prepare_installation` makes it, of conda packages and of built software."""
    texts = {
        "conda-meta/libzmq.json": '{"name": "zeromq", "version": "4.3.5", "build": "h1_7",'
        ' "license": "MPL-2.0"}',
        "conda-meta/history": "==> 2026 <==\n",
        "conda-meta/odd.json": "[1]",
        "conda-meta/torn.json": '{"name": "x", "ver',
        "lib/pkgconfig/flux-core.pc": "prefix=/opt/f\nv=0.66\nName: flux-core\nVersion: ${v}.0\n",
        "lib/pkgconfig/empty.pc": "",
        "share/flux.pc": "Version: 9\n",
    }
    archive = folder / "installation.tar"
    with tarfile.open(archive, "w") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"opt/flux/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return Packed("flux", "0" * 64, archive, "1" * 64)


def test_an_installation_that_a_user_gave_is_in_the_bill(tmp_path: Path) -> None:
    bill = bill_of_materials(
        "flux", SPECS["mmdebstrap"], "0" * 64, "", {}, [], installation(tmp_path)
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    (flux,) = json.loads(bill)["components"]
    assert (flux["name"], flux["version"]) == ("flux", "0.66.0")
    assert flux["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    core, zeromq = sorted(flux["components"], key=lambda part: str(part["name"]))
    assert (core["name"], core["version"]) == ("flux-core", "0.66.0")
    assert core["properties"] == [{"name": LICENCE, "value": NOT_DECLARED}]
    assert zeromq["purl"] == "pkg:conda/zeromq@4.3.5?build=h1_7"
    assert zeromq["licenses"][0]["license"]["id"] == "MPL-2.0"


def test_the_same_image_has_the_same_bill(tmp_path: Path) -> None:
    assert made(tmp_path) == made(tmp_path)


def test_a_bundle_has_the_bill() -> None:
    assert Choice().takes("images/slurm/image", BILL)
