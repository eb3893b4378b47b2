"""Software that a user gives for an image: what is refused, and what a guest gets of it."""

from __future__ import annotations

import hashlib
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard

from schedlab.errors import SchedlabError
from schedlab.schedulers.installation import (
    SETTINGS,
    Installation,
    installation_problems,
    shaping,
)
from schedlab.schedulers.settings import problems
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.installation import Packed, given_digest, prepare_installation

TOOL = Installation(
    "tool", Path(__file__), ("tool",), "bin/tool", "lib*/tool.pc", r"(?m)^prefix=(.*)$"
)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An installed folder, with what an installation has of all sorts."""
    folder = tmp_path / "site"
    for name, text in {
        "bin/tool": "#!/bin/sh\n",
        "lib/libtool.so.1": "library",
        "lib/tool.pc": "prefix=/opt/made-for\nlibdir=${prefix}/lib\n",
        "lib/__pycache__/x.pyc": "cache",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin/tool").chmod(0o700)
    (folder / "lib/libtool.so").symlink_to("libtool.so.1")
    return folder


def archive_of(prefix: Path, name: str, inside: str = "site") -> tuple[Path, str]:
    """Archive of an installed folder, and its digest."""
    path = prefix.parent / name
    plain = prefix.parent / "plain.tar"
    with tarfile.open(plain, "w") as tar:
        tar.add(prefix, inside)
    content = plain.read_bytes()
    if name.endswith(".zst"):
        content = zstandard.ZstdCompressor().compress(content)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def packed(prefix: Path, sha256: str = "") -> Packed:
    settings = {"prefix": str(prefix), "sha256": sha256}
    return prepare_installation(TOOL, settings, cache=Cache(prefix.parent / "cache"))


def members(made: Packed) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(made.archive) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_a_folder_is_where_it_was_made_for_and_owned_by_root(prefix: Path) -> None:
    found = members(packed(prefix))
    assert set(found) == {
        "opt/made-for/bin/tool", "opt/made-for/lib/libtool.so", "opt/made-for/lib/libtool.so.1",
        "opt/made-for/lib/tool.pc", "usr/local/bin/tool",
    }  # fmt: skip
    assert {(m.uid, m.gid, m.uname) for m in found.values()} == {(0, 0, "root")}
    assert stat.S_IMODE(found["opt/made-for/bin/tool"].mode) == 0o755
    assert found["opt/made-for/lib/libtool.so"].linkname == "libtool.so.1"
    assert found["usr/local/bin/tool"].linkname == "/opt/made-for/bin/tool"


@pytest.mark.parametrize("name", ["tool.tar", "tool.tar.zst"])
@pytest.mark.parametrize("inside", ["site", "opt/deeper/site", "."])
def test_an_archive_gives_the_same_as_its_folder(prefix: Path, name: str, inside: str) -> None:
    path, sha256 = archive_of(prefix, name, inside)
    assert set(members(packed(path, sha256))) == set(members(packed(prefix)))


def test_a_packed_environment_is_put_where_its_program_moves_it(prefix: Path) -> None:
    (prefix / "bin/conda-unpack").write_text("#!/bin/sh\n")
    assert "opt/tool/bin/tool" in members(packed(prefix))


def test_without_a_folder_of_its_own_it_has_its_name(prefix: Path) -> None:
    (prefix / "lib/tool.pc").unlink()
    assert "opt/tool/bin/tool" in members(packed(prefix))


def test_an_archive_is_packed_again_only_when_it_differs(prefix: Path) -> None:
    path, sha256 = archive_of(prefix, "tool.tar")
    first = packed(path, sha256)
    path.unlink()
    assert packed(path, sha256) == first


def test_a_folder_of_other_contents_is_another(prefix: Path) -> None:
    before = packed(prefix)
    (prefix / "lib/__pycache__/y.pyc").write_text("made by its use")
    assert packed(prefix).given == before.given
    (prefix / "lib/libtool.so.1").write_text("newer")
    after = packed(prefix)
    assert (after.given == before.given, after.sha256 == before.sha256) == (False, False)


def test_another_digest_is_refused(prefix: Path) -> None:
    path, _ = archive_of(prefix, "tool.tar")
    with pytest.raises(SchedlabError, match="has another digest") as caught:
        packed(path, "0" * 64)
    assert "write its digest under sha256" in str(caught.value.remedy)


def test_an_archive_without_the_program_is_refused(prefix: Path) -> None:
    (prefix / "bin/tool").unlink()
    path, sha256 = archive_of(prefix, "tool.tar")
    with pytest.raises(SchedlabError, match="has no bin/tool"):
        packed(path, sha256)


def test_an_archive_that_leaves_its_folder_is_refused(prefix: Path) -> None:
    path, _ = archive_of(prefix, "tool.tar", "../../outside")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(SchedlabError, match=r"'../../outside/?' has .. in its name"):
        packed(path, sha256)
    assert not (prefix.parent / "outside").exists()


@pytest.mark.parametrize(
    "told",
    ["/", "relative", "/opt/../etc", "/etc", "/etc/x", "/usr", "/tmp/x", "/opt/a b", "/o/$x"],
)
def test_a_folder_that_no_guest_can_have_is_refused(prefix: Path, told: str) -> None:
    (prefix / "lib/tool.pc").write_text(f"prefix={told}\n")
    with pytest.raises(SchedlabError, match="the folder that it was made for"):
        packed(prefix)
    assert "the folder that it was made for" in refusal(prefix=str(prefix))
    path, sha256 = archive_of(prefix, "tool.tar")
    assert "the folder that it was made for" in refusal(prefix=str(path), sha256=sha256)


@pytest.mark.parametrize("told", ["/usr/local", "/home/x/flux", "/sw/tool-1.2_x86+a@b=c,d~e/"])
def test_a_folder_that_a_guest_can_have_is_where_it_is(prefix: Path, told: str) -> None:
    (prefix / "lib/tool.pc").write_text(f"prefix={told}\n")
    assert f"{told.strip('/')}/bin/tool" in members(packed(prefix))


def refusal(**written: str) -> str:
    (problem,) = installation_problems(TOOL, written)
    assert problem.remedy
    return f"{problem.key}: {problem.what}"


def test_another_digest_is_told_at_the_key_of_the_digest(prefix: Path) -> None:
    path, sha256 = archive_of(prefix, "tool.tar")
    told = refusal(prefix=str(path), Sha256="0" * 64)
    assert told == f"Sha256: not the digest of {path}, which is {sha256}"


def test_what_settings_give_is_looked_at_before_anything_runs(prefix: Path) -> None:
    path, sha256 = archive_of(prefix, "tool.tar")
    assert installation_problems(TOOL, {}) == []
    assert installation_problems(TOOL, {"prefix": str(prefix)}) == []
    assert installation_problems(TOOL, {"Prefix": str(path), "sha256": sha256}) == []
    assert refusal(prefix=str(prefix / "no")) == "prefix: no such folder or archive"
    assert refusal(prefix=str(prefix / "lib")) == "prefix: a folder without bin/tool"
    assert refusal(prefix=str(path)) == "prefix: an archive without sha256"
    assert refusal(prefix="/dev/zero", sha256=sha256) == "prefix: neither a folder nor a file"
    assert refusal(prefix=str(prefix / "bin/tool")) == "prefix: neither a folder nor a tar archive"
    assert refusal(sha256=sha256) == "sha256: the digest of an archive, and there is none"
    folder = refusal(prefix=str(prefix), SHA256=sha256)
    assert folder == "SHA256: the digest of an archive, but prefix is a folder"


def test_no_remedy_writes_over_a_file_that_is_no_lock(tmp_path: Path) -> None:
    mine = tmp_path / "hostname"
    mine.write_text("mine")
    (problem,) = installation_problems(TOOL, {"lock": str(mine)})
    assert problem.key == "lock" and str(mine) not in problem.remedy
    assert "name the FILE that `schedlab lock tool --channel" in problem.remedy


def test_an_image_depends_on_the_digest_and_not_on_the_archives_name(prefix: Path) -> None:
    path, sha256 = archive_of(prefix, "tool.tar")
    given = {"prefix": str(path), "sha256": sha256, "other": "x"}
    assert shaping(given) == {"sha256": sha256}
    assert given_digest(TOOL, given) == sha256
    assert shaping({"prefix": str(prefix), "sha256": ""}) == {"prefix": str(prefix)}
    assert set(SETTINGS) == {"channel", "lock", "prefix", "sha256"}


def test_a_digest_may_be_in_capitals(prefix: Path) -> None:
    path, sha256 = archive_of(prefix, "tool.tar")
    capitals = sha256.upper()
    assert installation_problems(TOOL, {"prefix": str(path), "sha256": capitals}) == []
    assert packed(path, capitals) == packed(path, sha256)
    assert shaping({"prefix": str(path), "sha256": capitals}) == {"sha256": sha256}


def test_a_channel_beside_a_prefix_is_refused(prefix: Path) -> None:
    told = refusal(prefix=str(prefix), Channel="bioconda")
    assert told == "Channel: not used where prefix gives an installation"
    assert refusal(prefix=str(prefix), lock="x").startswith("lock: not used")
    both = installation_problems(TOOL, {"prefix": str(prefix / "no"), "channel": "bioconda"})
    assert [one.key for one in both] == ["channel", "prefix"]


def test_an_empty_prefix_is_refused() -> None:
    found = list(problems(SETTINGS, {"prefix": "", "sha256": "", "lock": ""}, others=None))
    assert [one.key for one in found] == ["prefix", "sha256", "lock"]
