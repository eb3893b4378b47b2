"""Archives that schedlab cannot have written: refused, and nothing written outside."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from schedlab.bundle.archive_format import WINDOW, ArchiveLimits, header
from schedlab.bundle.open import opened
from schedlab.bundle.verify import unpack, verify
from schedlab.bundle.writer import seal
from schedlab.errors import SchedlabError

FIRST = ("bundle.json", json.dumps({"schema": "schedlab.bundle/1", "release": "0.1.0"}).encode())


def member(name: str, content: bytes = b"x", **fields: object) -> bytes:
    """A member as an attacker may write it: a header with any fields, and its content."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    kept = content if info.isreg() or info.type == tarfile.GNUTYPE_SPARSE else b""
    info.size = len(kept)
    form = tarfile.GNU_FORMAT if len(name) > 90 else tarfile.USTAR_FORMAT
    return info.tobuf(form, "utf-8", "surrogateescape") + kept + bytes(-len(kept) % 512)


def sealed(packed: bytes) -> bytes:
    return packed + seal(hashlib.sha256(packed).digest())


def archive(path: Path, *members: bytes, end: bytes = bytes(1024), manifest: bool = True,
            compress: Callable[[bytes], bytes] | None = None) -> Path:  # fmt: skip
    """An archive that is sealed as it must be and holds these members."""
    rows = {FIRST[0]: FIRST[1]}
    tar = member(*FIRST) + b"".join(members)
    if manifest:
        with tarfile.open(fileobj=io.BytesIO(tar + bytes(1024)), errorlevel=0) as read:
            rows |= {entry.name: b"x" for entry in read if entry.name != FIRST[0]}
        text = "".join(
            json.dumps(
                {"path": n, "sha256": hashlib.sha256(c).hexdigest(), "size": len(c)}
            ) + "\n"
            for n, c in rows.items()
        )  # fmt: skip
        tar += member("manifest.jsonl", text.encode())
    packer = compress or zstandard.ZstdCompressor(write_checksum=True).compress
    path.write_bytes(sealed(packer(tar + end)))
    return path


def refused(path: Path, tmp_path: Path, limits: ArchiveLimits | None = None) -> str:
    """The message with which an archive is refused, by every reader, leaving nothing behind."""
    inside = tmp_path / "deep" / "folder"
    inside.mkdir(parents=True)
    before = {p for p in tmp_path.rglob("*") if inside not in p.parents}
    with pytest.raises(SchedlabError) as first:
        unpack(path, inside, limits)
    assert {p for p in tmp_path.rglob("*") if inside not in p.parents} == before
    with pytest.raises(SchedlabError) as second:
        verify(path, limits)
    assert str(first.value) == str(second.value)
    assert first.value.remedy
    if limits is None:
        with pytest.raises(SchedlabError), opened(path):
            pytest.fail("it was opened")
    return first.value.message


def test_a_plain_archive_of_this_kind_is_accepted(tmp_path: Path) -> None:
    assert verify(archive(tmp_path / "x", member("a"), member("b/c"))).members == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", "absolute path"),
        ("//x", "absolute path"),
        ("C:/x", "absolute path"),
        ("../x", "leaves its folder"),
        ("a/../../x", "leaves its folder"),
        ("a//b", "empty or `.` part"),
        ("./a", "empty or `.` part"),
        ("a\\b", "backslash"),
        ("a\nb", "control character"),
        ("a\u202eb", "control character"),
        ("d/" * 140 + "x", "extended"),
    ],
)
def test_names(name: str, message: str, tmp_path: Path) -> None:
    assert message in refused(archive(tmp_path / "x", member(name)), tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.DIRTYPE, "a folder of its own"),
        (tarfile.CONTTYPE, "a contiguous file"),
        (b"V", "more than a name"),
    ],
)
def test_kinds_of_members(kind: bytes, message: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "x", member("a", type=kind, linkname="/etc/passwd"), manifest=False)
    assert message in refused(path, tmp_path)


def test_sparse_files_and_extended_headers(tmp_path: Path) -> None:
    sparse = bytearray(member("a", bytes(10)))
    sparse[156:157] = tarfile.GNUTYPE_SPARSE
    sparse[148:156] = b" " * 8
    sparse[148:155] = b"%06o\0" % sum(sparse[:512])
    path = archive(tmp_path / "sparse", bytes(sparse), manifest=False)
    assert "a sparse file" in refused(path, tmp_path)
    info = tarfile.TarInfo("b")
    info.pax_headers = {"path": "../../b"}
    extended = info.tobuf(tarfile.PAX_FORMAT)
    path = archive(tmp_path / "pax", extended, manifest=False)
    with pytest.raises(SchedlabError, match=r"extended \(pax\) header|extended"):
        verify(path)


@pytest.mark.parametrize(
    "fields",
    [{"uname": "root"}, {"mtime": 1}, {"uid": 7}, {"mode": 0o4755}, {"linkname": "hidden"}],
)
def test_headers_hold_nothing_else(fields: dict, tmp_path: Path) -> None:
    path = archive(tmp_path / "x", member("a", **fields))
    assert "holds more than a name" in refused(path, tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "a"), "occurs twice"),
        (("A", "a"), "occurs twice"),
        (("\u00e9", "e\u0301"), "occurs twice"),
        (("stra\u00dfe", "STRASSE"), "occurs twice"),
        (("a", "a/b"), "a file and a folder"),
        (("a/b", "a"), "a file and a folder"),
        (("A/b", "a"), "a file and a folder"),
        (("bundle.json",), "occurs twice"),
    ],
)
def test_duplicate_names(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "x", *(member(name) for name in names), manifest=False)
    assert message in refused(path, tmp_path)


def test_bombs(tmp_path: Path) -> None:
    path = archive(tmp_path / "x", *(member(f"n{i}", bytes(50_000)) for i in range(40)))
    assert "decompression bomb" in refused(path, tmp_path, ArchiveLimits(total=1_000_000))
    for limits in (ArchiveLimits(members=10), ArchiveLimits(ratio=100, ratio_from=200_000)):
        with pytest.raises(SchedlabError, match="members|times its size"):
            verify(path, limits)


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    huge = header("huge", 8**11 - 1)
    path = archive(tmp_path / "x", huge, manifest=False)
    assert "cut short" in refused(path, tmp_path) or "room" in refused(path, tmp_path)


def test_a_window_that_asks_for_memory(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=WINDOW.bit_length() + 3)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def compress(data: bytes) -> bytes:
        return compressor.compress(data) + compressor.flush()

    assert "window" in refused(archive(tmp_path / "x", member("a"), compress=compress), tmp_path)


@pytest.mark.parametrize(
    "added",
    [
        zstandard.ZstdCompressor().compress(b"second frame"),
        zstandard.ZstdCompressor().compress(b""),
        bytes.fromhex("502a4d18") + (4).to_bytes(4, "little") + b"hide",
        b"rubbish",
    ],
)
def test_what_hides_after_the_frame(added: bytes, tmp_path: Path) -> None:
    def compress(data: bytes) -> bytes:
        return zstandard.ZstdCompressor(write_checksum=True).compress(data) + added

    path = archive(tmp_path / "x", member("a"), compress=compress)
    assert "bytes after the compressed data" in refused(path, tmp_path)


@pytest.mark.parametrize("end", [bytes(512), bytes(512) + b"x" + bytes(511), bytes(1024) + b"x"])
def test_what_hides_at_the_archives_end(end: bytes, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="end"):
        verify(archive(tmp_path / "x", member("a"), end=end))


def test_what_hides_in_padding(tmp_path: Path) -> None:
    padded = bytearray(member("a"))
    padded[-1] = 1
    with pytest.raises(SchedlabError, match="hidden after a"):
        verify(archive(tmp_path / "x", bytes(padded)))


def test_members_that_the_manifest_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="changed"):
        verify(archive(tmp_path / "x", member("a", b"other than x")))
    with pytest.raises(SchedlabError, match="no manifest"):
        verify(archive(tmp_path / "y", member("a"), manifest=False))
