"""Archives and folders of an installation that would harm the host: each is refused by name.

Nothing here is unpacked by other means than the code under test, and victims are in the test's own
folder.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import socket
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.schedulers import contents
from schedlab.schedulers.installation import READ, Installation, installation_problems
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.installation import Packed, prepare_installation

TOOL = Installation(
    "tool", Path(__file__), ("tool",), "bin/tool", "lib*/tool.pc", r"(?m)^prefix=(.*)$"
)
Item = tuple[str, bytes, str]
"""Name, type and content of a file, or the target of a link."""
SOUND: Sequence[Item] = (
    ("site/bin/tool", tarfile.REGTYPE, "#!/bin/sh"),
    ("site/lib/tool.pc", tarfile.REGTYPE, "prefix=/opt/site"),
)


@pytest.fixture(autouse=True)
def _read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(READ, "{}")


def add(tar: tarfile.TarFile, item: Item, mode: int = 0o755) -> None:
    info = tarfile.TarInfo(item[0])
    info.type, info.mode = item[1], mode
    if item[1] in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = item[2]
        tar.addfile(info)
        return
    content = item[2].encode()
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def archive(folder: Path, *items: Item, mode: int = 0o755) -> tuple[Path, str]:
    """Make an archive with a sound installation and more members; return it and its digest."""
    path = folder / "tool.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for item in (*SOUND, *items):
            add(tar, item, mode)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def packed(path: Path, sha256: str, cache: Path) -> Packed:
    return prepare_installation(TOOL, {"prefix": str(path), "sha256": sha256}, cache=Cache(cache))


def refused(path: Path, sha256: str, cache: Path) -> str:
    """Why it is refused: the same at the start of a run as when the programs are packed."""
    written = {"prefix": str(path)} | ({"sha256": sha256} if sha256 else {})
    (problem,) = installation_problems(TOOL, written)
    with pytest.raises(SchedlabError) as caught:
        packed(path, sha256, cache)
    assert (problem.key, problem.remedy) == ("prefix", caught.value.remedy)
    assert caught.value.message == f"{path}: {problem.what}"
    assert not list(cache.glob("installation/*"))
    return problem.what


def test_a_sound_archive_is_accepted(tmp_path: Path) -> None:
    path, sha256 = archive(
        tmp_path,
        ("site/lib/tool", tarfile.LNKTYPE, "site/bin/tool"),
        ("site/etc", tarfile.SYMTYPE, "/etc"),
        ("site/current", tarfile.SYMTYPE, "../site/./lib"),
        ("site/share/", tarfile.DIRTYPE, ""),
    )
    assert installation_problems(TOOL, {"prefix": str(path), "sha256": sha256}) == []
    with tarfile.open(packed(path, sha256, tmp_path / "cache").archive) as tar:
        found = {one.name: one for one in tar}
    assert found["opt/site/etc"].linkname == "/etc"
    assert {one.uid for one in found.values()} == {0}


def test_set_user_id_bits_are_not_kept(tmp_path: Path) -> None:
    path, sha256 = archive(tmp_path, mode=0o6777)
    with tarfile.open(packed(path, sha256, tmp_path / "cache").archive) as tar:
        assert {one.mode for one in tar if one.isreg()} == {0o755}


def test_no_file_of_the_host_is_overwritten_or_taken_by_a_hard_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("the host's own")
    cases: list[list[Item]] = [
        [("site/x", tarfile.LNKTYPE, str(victim)), ("site/x", tarfile.REGTYPE, "evil")],
        [("site/x", tarfile.LNKTYPE, str(victim))],
        [("site/x", tarfile.LNKTYPE, f"../../../../../../../..{victim}")],
        [("site/l", tarfile.SYMTYPE, str(victim)), ("site/x", tarfile.LNKTYPE, "site/l")],
    ]
    for number, items in enumerate(cases):
        path, sha256 = archive(tmp_path, *items)
        told = refused(path, sha256, tmp_path / f"cache{number}")
        assert told.startswith("its member 'site/x' is a hard link to ")
        assert (victim.read_text(), victim.stat().st_nlink) == ("the host's own", 1)


def test_no_file_is_written_through_a_symbolic_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link, file = tarfile.SYMTYPE, tarfile.REGTYPE
    told: list[tuple[str, list[Item]]] = [
        (
            "'site/x/y' is below 'site/x', which is a symbolic link",
            [("site/x", link, str(outside)), ("site/x/y", file, "evil")],
        ),
        (
            "'site/y' occurs twice",
            [("site/y", link, str(outside / "y")), ("site/y", file, "evil")],
        ),
        ("'site/lib' occurs twice", [("site/lib", link, str(outside))]),
        ("'site/lib' occurs twice", [("site/./lib", link, str(outside))]),
        ("'.' occurs twice", [(".", link, str(outside))]),
        (
            "'site/bin/tool/x' is below 'site/bin/tool', which is a file",
            [("site/bin/tool/x", file, "")],
        ),
    ]
    for number, (what, items) in enumerate(told):
        found = refused(*archive(tmp_path, *items), tmp_path / f"cache{number}")
        assert found == f"its member {what}"
        assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (("/evil", tarfile.REGTYPE, ""), "'/evil' has an absolute name"),
        (("../evil", tarfile.REGTYPE, ""), "'../evil' has .. in its name"),
        (("site/../../evil", tarfile.DIRTYPE, ""), "'site/../../evil' has .. in its name"),
        (("site/null", tarfile.CHRTYPE, ""), "'site/null' is a character device"),
        (("site/disk", tarfile.BLKTYPE, ""), "'site/disk' is a block device"),
        (("site/pipe", tarfile.FIFOTYPE, ""), "'site/pipe' is a named pipe"),
        (("site/\x1b[2J", tarfile.REGTYPE, ""), "'site/\\x1b[2J' has a control character"),
    ],
)
def test_other_members_are_refused_by_name(tmp_path: Path, item: Item, what: str) -> None:
    assert f"its member {what}" in refused(*archive(tmp_path, item), tmp_path / "cache")


@pytest.mark.parametrize(
    "items",
    [
        [("site/x", tarfile.SYMTYPE, "../../etc/passwd")],
        # Each alone stays within; by way of the other, it does not.
        [("site/x", tarfile.SYMTYPE, "here/../../y"), ("site/here", tarfile.SYMTYPE, ".")],
    ],
)
def test_a_link_that_climbs_out_is_refused(tmp_path: Path, items: list[Item]) -> None:
    told = refused(*archive(tmp_path, *items), tmp_path / "cache")
    assert told == f"its link 'site/x' -> '{items[0][2]}' leads out of it"


def test_links_without_an_end_are_refused(tmp_path: Path) -> None:
    loop: list[Item] = [("site/x", tarfile.SYMTYPE, "y/y"), ("site/y", tarfile.SYMTYPE, "x/x")]
    told = refused(*archive(tmp_path, *loop), tmp_path / "cache")
    assert told == "its link 'site/x' -> 'y/y' leads to no end"


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "LARGEST", 2**30)
    path = tmp_path / "tool.tar.xz"
    large = tarfile.TarInfo("site/large")
    large.size = 2**30 + 1
    with lzma.open(path, "wb") as stream:
        stream.write(large.tobuf())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert "more than 500,000 members or 1 GiB" in refused(path, sha256, tmp_path / "a")
    monkeypatch.setattr(contents, "MOST", 5)
    many = [(f"site/{name}", tarfile.REGTYPE, "") for name in "abcd"]
    assert "more than 5 members" in refused(*archive(tmp_path, *many), tmp_path / "b")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tool.tar"
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**33 - 1
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"a header of {2**33 - 1} bytes" in refused(path, sha256, tmp_path / "cache")


def test_two_installations_are_refused_by_name(tmp_path: Path) -> None:
    other: Item = ("other/bin/tool", tarfile.REGTYPE, "")
    told = refused(*archive(tmp_path, other), tmp_path / "cache")
    assert told == "it has 'other/bin/tool' and 'site/bin/tool'"


@pytest.mark.parametrize("content", [b"", b"no archive", bytes(range(256)) * 100])
@pytest.mark.parametrize("name", ["x.tar", "x.tar.zst", "x.tar.xz"])
def test_what_is_no_archive_is_told_at_the_start(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    told = refused(path, hashlib.sha256(content).hexdigest(), tmp_path / "cache")
    assert told.startswith("it cannot be read as a tar archive: ")


def test_another_digest_is_told_when_the_programs_are_packed(tmp_path: Path) -> None:
    path, sha256 = archive(tmp_path)
    with pytest.raises(SchedlabError, match=f"the archive has another digest, {sha256}"):
        packed(path, "a" * 64, tmp_path / "c")
    assert not list((tmp_path / "c").glob("installation/*"))


def test_an_archive_is_read_once_in_all_processes_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256 = archive(tmp_path, ("site/pipe", tarfile.FIFOTYPE, ""))
    written = {"prefix": str(path), "sha256": sha256}
    first = installation_problems(TOOL, written)
    monkeypatch.setattr(contents, "_opened", None)
    assert installation_problems(TOOL, written) == first
    assert first


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/tool").write_text("#!/bin/sh")
    (folder / "bin/tool").chmod(0o755)
    return folder


def test_a_folder_with_what_is_no_file_is_refused(prefix: Path, tmp_path: Path) -> None:
    os.mkfifo(prefix / "pipe")
    assert refused(prefix, "", tmp_path / "cache") == "'pipe' in it is a named pipe"
    (prefix / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(prefix / "s"))
        assert refused(prefix, "", tmp_path / "cache") == "'s' in it is a socket"


def test_a_folder_with_a_link_that_climbs_out_is_refused(prefix: Path, tmp_path: Path) -> None:
    (prefix / "bin/other").symlink_to("../../elsewhere")
    told = refused(prefix, "", tmp_path / "cache")
    assert told == "its link 'bin/other' -> '../../elsewhere' leads out of it"


def test_a_folder_whose_program_is_elsewhere_is_refused(prefix: Path, tmp_path: Path) -> None:
    (prefix / "bin/tool").rename(tmp_path / "tool")
    (prefix / "bin/tool").symlink_to(tmp_path / "tool")
    told = refused(prefix, "", tmp_path / "cache")
    assert told == f"it has no bin/tool: it is a link to '{tmp_path / 'tool'}'"
