"""Packing gives the same bytes and replaces no file; verifying finds every change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard
from bundle_factory import adopt, git, make_checkout, packed
from click.testing import CliRunner

from schedlab.bundle.checkout import clean_patch
from schedlab.bundle.contents import Choice
from schedlab.bundle.open import opened
from schedlab.bundle.pack import pack
from schedlab.bundle.verify import unpack, verify
from schedlab.bundle.writer import BundleWriter
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.privacy.identity import Identity


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy of complete results, which tests may damage."""
    return Path(shutil.copytree(packed().results, tmp_path / "results"))


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(packed().path, folder)
    return folder


def repack(folder: Path, output: Path) -> None:
    """Pack what is in the folder of an unpacked bundle, with a manifest of what is there now."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    names.sort(key=lambda name: name != "bundle.json")
    with BundleWriter(output) as writer:
        for name in names:
            if name != "manifest.jsonl":
                writer.add_file(name, folder / name)


def test_the_same_results_give_the_same_bytes_elsewhere(results: Path, tmp_path: Path) -> None:
    for path in results.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    again = tmp_path / "again.tar.zst"
    assert pack(results, again, root=packed().checkout) == packed().digest
    assert again.read_bytes() == packed().path.read_bytes()


def test_ordinary_tools_unpack_it(tmp_path: Path) -> None:
    raw = zstandard.ZstdDecompressor().stream_reader(packed().path.open("rb")).read()
    (tmp_path / "x.tar").write_bytes(raw)
    subprocess.run(["tar", "-xf", "x.tar"], cwd=tmp_path, check=True)
    (tmp_path / "x.tar").unlink()
    assert verify(tmp_path).members == verify(packed().path).members


def test_what_is_inside(unpacked: Path) -> None:
    names = {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()}
    trial = "results/trials/slurm-n1/burst/1"
    assert {
        "results/report.html", "results/tables/jobs.parquet", "results/figures/wait.svg",
        "results/traces/burst-n1-r1.json", "results/experiments.yaml", f"{trial}/samples.json.gz",
        f"{trial}/native/slurmctld.log", "results/clusters/slurm-n1/configured/record.json",
        "source/Snakefile", "source/run", "source.patch", "CITATION.cff", ".zenodo.json",
    } <= names  # fmt: skip
    for part in (
        "secrets",
        "console",
        "qcow2",
        "snapshot/",
        "/block/",
        "ignored",
        "prometheus.log",
    ):
        assert [name for name in names if part in name] == []
    record = json.loads((unpacked / trial / "record.json").read_text())
    assert "prometheus/block/01/index" in record["outputs"], "left out, but named by digest"


def test_more_by_choice(tmp_path: Path) -> None:
    path = tmp_path / "all.tar.zst"
    pack(packed().results, path, Choice(True, True, True), root=packed().checkout)
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(path, folder)
    names = {p.relative_to(folder / "results").as_posix() for p in folder.rglob("*")
             if p.is_file() and p.is_relative_to(folder / "results")}  # fmt: skip
    assert "trials/slurm-n1/burst/1/prometheus/block/01/index" in names
    assert "images/slurm/image/disk.qcow2" in names
    assert "clusters/slurm-n1/configured/snapshot/head.save" in names
    assert not [name for name in names if "console" in name]


def test_the_patch_makes_the_working_folder_of_the_commit(unpacked: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(packed().checkout), str(clone))
    git(clone, "apply", str(unpacked / "source.patch"))
    for name in ("Snakefile", "config/new.txt", "run"):
        assert (clone / name).read_bytes() == (packed().checkout / name).read_bytes()
    assert not (clone / "ignored.txt").exists()
    assert (unpacked / "source/link").read_text() == "Snakefile"
    assert os.access(clone / "run", os.X_OK)


def test_a_patch_tells_nothing_of_the_machine_and_still_applies(tmp_path: Path) -> None:
    root = make_checkout(tmp_path / "checkout")
    (root / "config/notes.txt").write_text("see /home/alice/x\n\n+ /home/alice\n")
    (root / "config/picture.bin").write_bytes(bytes(range(256)) * 4)
    from schedlab.bundle.checkout import Checkout

    alice = Identity({"/home/alice": "$HOME"})
    patch = Checkout(root).patch(alice, tmp_path / "results").read()
    assert b"/home/alice" not in patch
    git(root, "stash", "--include-untracked", "--quiet")
    (tmp_path / "p").write_bytes(patch)
    git(root, "apply", "--index", str(tmp_path / "p"))
    assert (root / "config/notes.txt").read_text() == "see $HOME/x\n\n+ $HOME\n"
    assert (root / "config/picture.bin").read_bytes() == bytes(range(256)) * 4


def test_lines_that_were_there_stay_in_a_patch() -> None:
    hunk = [b"@@ -1,2 +1,2 @@\n", b" /home/alice\n", b"-/home/alice\n", b"+/home/alice\n"]
    cleaned = [*hunk[:-1], b"+$HOME\n"]
    assert list(clean_patch(hunk, Identity({"/home/alice": "$HOME"}))) == cleaned


def test_one_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    content = packed().path.read_bytes()
    changed = tmp_path / "changed.tar.zst"
    size = len(content)
    # Every byte of both ends, where the formats' own bytes are, and others across the file.
    places = {*range(300), *range(size - 300, size), *range(0, size, 331)}
    for place in sorted(places):
        for bit in (0, 7) if place < 64 or place > size - 64 else (place % 8,):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            changed.write_bytes(flipped)
            with pytest.raises(SchedlabError):
                verify(changed)


@pytest.mark.parametrize("size", [0, 3, 40, 5_000, -1, -41, -64])
def test_a_truncated_archive_is_named(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.tar.zst"
    path.write_bytes(packed().path.read_bytes()[:size])
    with pytest.raises(SchedlabError, match="not a bundle|cut short") as caught:
        verify(path)
    assert caught.value.remedy


def test_bytes_after_the_end_are_found(tmp_path: Path) -> None:
    path = tmp_path / "longer.tar.zst"
    path.write_bytes(packed().path.read_bytes() + b"\0")
    with pytest.raises(SchedlabError, match="followed by other bytes|digest"):
        verify(path)


def test_changed_missing_and_added_files_of_an_unpacked_bundle(unpacked: Path) -> None:
    verify(unpacked)
    (unpacked / "results/report.html").write_text("better numbers")
    (unpacked / "results/traces/burst-n1-r2.json").unlink()
    (unpacked / "results/figures/extra.svg").write_text("")
    wait = unpacked / "results/figures/wait.svg"
    wait.write_bytes(wait.read_bytes()[:-1] + b" ")
    with pytest.raises(SchedlabError) as caught:
        verify(unpacked)
    assert caught.value.message.splitlines()[1:] == [
        "results/figures/extra.svg: added",
        "results/figures/wait.svg: changed (another SHA-256)",
        f"results/report.html: changed (14 bytes instead of "
        f"{(packed().results / 'report.html').stat().st_size})",
        "results/traces/burst-n1-r2.json: missing",
    ]


def test_a_link_in_an_unpacked_bundle_is_refused(unpacked: Path) -> None:
    (unpacked / "results/report.html").unlink()
    (unpacked / "results/report.html").symlink_to("/etc/hostname")
    with pytest.raises(SchedlabError, match="neither a file nor a folder"):
        verify(unpacked)


@pytest.mark.parametrize(
    ("schema", "release", "message"),
    [
        ("schedlab.bundle/2", "9.9.9", "newer format.*schedlab 9.9.9 wrote it"),
        ("schedlab.bundle/0", "0.0.1", "unknown format"),
        ("other", "1", "unknown format"),
    ],
)
def test_forms_that_are_not_known(
    unpacked: Path, tmp_path: Path, schema: str, release: str, message: str
) -> None:
    path = unpacked / "bundle.json"
    path.write_text(json.dumps({"schema": schema, "release": release}))
    repack(unpacked, tmp_path / "other.tar.zst")
    with pytest.raises(SchedlabError, match=message) as caught:
        verify(tmp_path / "other.tar.zst")
    assert release in (caught.value.remedy or "") or "unknown" in message


def test_missing_records_are_all_named(results: Path, tmp_path: Path) -> None:
    gone = ["trials/slurm-n1/burst/2/record.json", "clusters/slurm-n1/configured/record.json"]
    for name in gone:
        (results / name).unlink()
    with pytest.raises(SchedlabError) as caught:
        pack(results, tmp_path / "x", root=packed().checkout)
    assert all(name in caught.value.message for name in gone)
    assert f"results={results}" in (caught.value.remedy or "")
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_not_what_its_record_says(results: Path, tmp_path: Path) -> None:
    (results / "trials/slurm-n1/burst/1/stamps.jsonl").write_text("")
    with pytest.raises(SchedlabError, match="stamps.jsonl is not the file") as caught:
        pack(results, tmp_path / "x", root=packed().checkout)
    assert f"results={results}" in (caught.value.remedy or "")
    assert list(tmp_path.iterdir()) == [results], "nothing is left of the attempt"


def test_results_without_a_report_are_refused(results: Path, tmp_path: Path) -> None:
    (results / "experiments.yaml").unlink()
    with pytest.raises(SchedlabError, match="no report yet"):
        pack(results, tmp_path / "x", root=packed().checkout)


def test_a_folder_that_is_no_checkout_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="is not a Git checkout with a commit"):
        pack(results, tmp_path / "x", root=tmp_path)


def test_nothing_is_replaced_without_being_asked(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("mine")
    with pytest.raises(SchedlabError, match="exists") as caught:
        pack(results, path, root=packed().checkout)
    assert "--force" in (caught.value.remedy or "") and path.read_text() == "mine"
    pack(results, path, force=True, root=packed().checkout)
    verify(path)


def test_adopted_records_are_those_of_the_files(results: Path, tmp_path: Path) -> None:
    """A change that the record has, too, is packed; so the refusal above has the tested cause."""
    folder = results / "trials/slurm-n1/burst/1"
    (folder / "driver.log").write_text("a line\n")
    adopt(results, folder)
    assert pack(results, tmp_path / "x", root=packed().checkout) != packed().digest


def test_folders_and_bundles_open_alike(unpacked: Path) -> None:
    for path, bundled in ((packed().path, True), (unpacked, True), (packed().results, False)):
        with opened(path) as source:
            assert source.is_bundle is bundled and source.label == str(path)
            assert (source.results / "report.html").is_file()
            assert source.experiments.read_text().startswith("name: synthetic")
            where = source.results
    with opened(packed().path) as source:
        where = source.results
    assert not where.exists()
    with pytest.raises(SchedlabError, match="no results"), opened(unpacked / "source"):
        pass


def test_commands_say_what_they_found(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["verify", str(packed().path)])
    assert done.exit_code == 0 and packed().digest in done.output
    for name in ("missing", "text"):
        (tmp_path / "text").write_text("no bundle")
        done = CliRunner().invoke(main, ["verify", str(tmp_path / name)])
        assert done.exit_code == 1 and "remedy" in done.output
