"""Software from a Conda channel: pinned, verified, installed for guests, or left out."""

from __future__ import annotations

import functools
import http.server
import io
import json
import shutil
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channel_factory import BINARY, PLACEHOLDER, index, make_flux_channel, put_package
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rattler import LockFile

from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.images.bill import bill_of_materials
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.flux.given import INSTALLATION
from schedlab.schedulers.installation import (
    CHANNEL,
    installation_problems,
    locked,
    shaping,
    unlocked,
)
from schedlab.schedulers.lockfile import channel_url
from schedlab.toolchain import channel as channel_module
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.channel import REACHED, out_of_reach, write_lock
from schedlab.toolchain.installation import (
    Packed,
    given_digest,
    prepare_installation,
    unreachable,
)

FLUX = get_scheduler("flux")
SCHED = "linux-64/flux-sched-0.50.0-0.tar.bz2"


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's run found is not known to the next."""
    monkeypatch.setenv(REACHED, "{}")


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return make_flux_channel(tmp_path / "a channel")


def pin(channel: str | Path, output: Path) -> dict[str, str]:
    """Pin a channel's packages; return settings that name them."""
    scratch = output.with_suffix(".scratch")
    scratch.mkdir()
    write_lock(INSTALLATION, str(channel), output, scratch)
    return {"channel": str(channel), "lock": str(output), "prefix": "", "sha256": ""}


@pytest.fixture
def settings(channel: Path, tmp_path: Path) -> dict[str, str]:
    return pin(channel, tmp_path / "flux.lock")


def packed(settings: dict[str, str], cache: Path) -> Packed:
    return prepare_installation(INSTALLATION, settings, cache=Cache(cache))


def why(settings: dict[str, str], cache: Path) -> str | None:
    return unreachable("flux", INSTALLATION, settings, cache=Cache(cache))


def contents(made: Packed) -> dict[str, bytes]:
    with tarfile.open(made.archive) as tar:
        files = [member for member in tar.getmembers() if member.isfile()]
        return {one.name: found.read() for one in files if (found := tar.extractfile(one))}


@pytest.fixture
def server(channel: Path) -> Iterator[str]:
    """The channel over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(channel))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()


def test_the_newest_packages_that_fit_are_pinned(settings: dict[str, str], channel: Path) -> None:
    lock = locked(INSTALLATION, settings)
    found = {one.name.normalized: str(one.version) for one in lock.records}
    assert found == {"flux-core": "0.85.0", "flux-sched": "0.50.0", "jansson": "2.14"}
    assert lock.channel == channel_url(str(channel)) == f"{channel.as_uri()}/"
    assert all(one.sha256 for one in lock.records)


def test_files_name_the_folder_that_guests_have(settings: dict[str, str], tmp_path: Path) -> None:
    found = contents(packed(settings, tmp_path / "cache"))
    assert found["opt/flux/bin/flux"] == b"#!/opt/flux/bin/python\n"
    library = found["opt/flux/lib/libjansson.so.4"]
    assert library.startswith(b"\0prefix=/opt/flux/lib\0") and len(library) == len(BINARY)
    assert not [name for name, text in found.items() if PLACEHOLDER.encode() in text]
    assert not [name for name, text in found.items() if str(tmp_path).encode() in text]
    assert {name.split("/")[2] for name in found} == {"bin", "lib"}


def test_the_same_lock_file_gives_the_same_archive(
    settings: dict[str, str], tmp_path: Path
) -> None:
    first, second = (packed(settings, tmp_path / name) for name in ("one", "two"))
    assert (first.sha256, first.given) == (second.sha256, second.given)
    assert first.archive != second.archive
    assert [one.file_name for one in first.packages][1] == Path(SCHED).name


def test_the_bill_of_materials_has_the_packages(settings: dict[str, str]) -> None:
    records = locked(INSTALLATION, settings).records
    given = Packed("flux", "0" * 64, Path("installation.tar"), "0" * 64, records)
    bill = bill_of_materials("flux", {"kind": "cloud", "os": "debian"}, "0" * 64, "", {}, [], given)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    core = next(one for one in json.loads(bill)["components"] if one["name"] == "flux-core")
    assert core["purl"] == "pkg:conda/flux-core@0.85.0?build=0&subdir=linux-64"
    assert core["hashes"][0]["content"] == (records[0].sha256 or b"").hex()
    assert core["licenses"][0]["license"]["id"] == "LGPL-3.0-only"


def test_a_package_with_another_digest_is_refused(
    settings: dict[str, str], channel: Path, tmp_path: Path
) -> None:
    put_package(channel, "flux-sched", "0.50.0", ["flux-core"], {"lib/x": "other"}, "linux-64")
    with pytest.raises(SchedlabError, match="another digest than in the lock file") as caught:
        packed(settings, tmp_path / "cache")
    assert "schedlab lock" in str(caught.value.remedy)
    assert not list((tmp_path / "cache").glob("installation/*"))


def test_a_downloaded_package_with_another_digest_is_refused(
    server: str, channel: Path, tmp_path: Path
) -> None:
    settings = pin(server, tmp_path / "flux.lock")
    assert contents(packed(settings, tmp_path / "sound"))
    put_package(channel, "flux-sched", "0.50.0", ["flux-core"], {"lib/x": "other"}, "linux-64")
    with pytest.raises(SchedlabError, match="flux-sched.*hash mismatch"):
        packed(settings, tmp_path / "cache")


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_package_gets_no_file_of_the_host_and_writes_none(
    channel: Path, tmp_path: Path, kind: bytes, up: bool, again: bool
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("the host's own")
    files: dict[str, str | bytes] = {"lib/x": "evil", "lib/flux/modules/sched.so": "module"}
    path = put_package(channel, "flux-sched", "0.51.0", ["flux-core"], files, "linux-64")
    with tarfile.open(path) as tar:
        read = [(one, tar.extractfile(one)) for one in tar]
        members = [(one, stream.read() if stream else b"") for one, stream in read]
    with tarfile.open(path, "w:bz2") as tar:
        for member, content in members:
            if member.name == "lib/x":
                link = tarfile.TarInfo("lib/x")
                link.type, link.linkname = kind, f"{'../' * 20 if up else ''}{victim}"
                tar.addfile(link)
                if not again:
                    continue
            tar.addfile(member, io.BytesIO(content))
    index(channel)
    try:
        found = contents(packed(pin(channel, tmp_path / "flux.lock"), tmp_path / "cache"))
    except SchedlabError:
        found = {}
    assert (victim.read_text(), victim.stat().st_nlink) == ("the host's own", 1)
    assert b"the host's own" not in found.values()


def test_what_is_in_the_cache_needs_no_channel(
    settings: dict[str, str], channel: Path, tmp_path: Path
) -> None:
    first = packed(settings, tmp_path / "cache")
    shutil.rmtree(channel)
    assert why(settings, tmp_path / "cache") is None
    assert packed(settings, tmp_path / "cache") == first
    told = why(settings, tmp_path / "empty") or ""
    assert "cannot be reached" in told and "no such file; remedy: run again" in told
    with pytest.raises(SchedlabError, match="flux-core-0.85.0-0.tar.bz2 is missing"):
        packed(settings, tmp_path / "empty")


def test_a_server_is_asked_once_by_all_processes_of_a_run(
    server: str, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pin(server, tmp_path / "flux.lock")
    assert why(settings, tmp_path / "cache") is None
    shutil.rmtree(channel)
    assert why(settings, tmp_path / "cache") is None
    monkeypatch.setenv(REACHED, "{}")
    assert "the server answers 404" in (why(settings, tmp_path / "cache") or "")


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        assert out_of_reach(url) == "connection refused"


def test_a_server_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "REACH", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        assert out_of_reach(url) == "no answer within 0.2 s"


def test_a_look_up_that_does_not_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "REACH", 0.2)
    ended = threading.Event()
    monkeypatch.setattr(channel_module, "_ask", lambda _url: str(ended.wait(60)))
    assert out_of_reach("http://nowhere.invalid/x") == "no answer within 0.2 s"
    ended.set()


def test_without_a_lock_file_the_reason_and_the_command_are_told() -> None:
    missing = {"channel": CHANNEL, "lock": "", "prefix": ""}
    told = unlocked("flux", INSTALLATION, missing) or ""
    if INSTALLATION.lock.is_file():
        assert locked(INSTALLATION, missing).records and not told
    else:
        assert told.startswith("no file pins the packages of conda-forge, flux.lock is missing")
        assert "`schedlab lock flux`" in told and "settings.flux.prefix" in told


def edited(settings: dict[str, str], old: str, new: str) -> dict[str, str]:
    path = Path(settings["lock"])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return settings


def refusal(settings: dict[str, str]) -> str:
    written = {key: value for key, value in settings.items() if value}
    (problem,) = installation_problems(INSTALLATION, written)
    assert "schedlab lock flux" in problem.remedy
    return f"{problem.key}: {problem.what}"


def test_settings_of_a_channel_must_pin_everything(
    settings: dict[str, str], channel: Path, tmp_path: Path
) -> None:
    assert installation_problems(INSTALLATION, settings) == []
    assert installation_problems(INSTALLATION, {"channel": channel_url(CHANNEL)}) == []
    assert refusal({"channel": str(channel)}) == "channel: a channel without lock"
    assert refusal({**settings, "lock": str(tmp_path / "no")}) == "lock: no such file"
    assert refusal({**settings, "lock": str(tmp_path)}) == "lock: not a file"
    for key, name, told in (
        ("lock", "~nobody-of-that-name/x", "there is no such user"),
        ("lock", "a" * 300, "a name of 300 bytes is longer than file systems take (255)"),
        ("prefix", "a" * 300, "a name of 300 bytes is longer than file systems take (255)"),
    ):
        (problem,) = installation_problems(INSTALLATION, {key: name})
        assert (problem.key, problem.what) == (key, told)
    with pytest.raises(SchedlabError, match="there is no such user"):
        channel_url("~nobody-of-that-name/x")
    assert refusal({**settings, "channel": CHANNEL}) == (
        f"lock: is a lock file of {channel.as_uri()}/, not of conda-forge"
    )
    core = next(one for one in locked(INSTALLATION, settings).records)
    digest = f"  sha256: {(core.sha256 or b'').hex()}\n"
    assert refusal(edited(settings, digest, "")) == "lock: has no SHA-256 of flux-core"


def test_a_lock_file_without_what_is_needed_is_refused(
    settings: dict[str, str], channel: Path
) -> None:
    old = edited(settings, "flux-core-0.85.0-0", "flux-core-0.84.0-0")
    assert refusal(old) == "lock: has no flux-core >=0.85 for linux-64"
    Path(settings["lock"]).write_text("version: [")
    assert refusal(settings).startswith("lock: is no lock file: ")
    Path(settings["lock"]).write_text("version: 6\nenvironments: {}\npackages: []\n")
    assert refusal(settings).startswith("lock: is a lock file of nothing, not of ")


def test_an_image_depends_on_the_channel_only_without_a_prefix(settings: dict[str, str]) -> None:
    assert shaping(settings) == {key: settings[key] for key in ("channel", "lock")}
    assert shaping({**settings, "prefix": "/opt/x"}) == {"prefix": "/opt/x"}
    before = given_digest(INSTALLATION, settings)
    edited(settings, "  md5: ", "  # md5: ")
    assert given_digest(INSTALLATION, settings) != before


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["lock", *words])
    return done.exit_code, done.output


def test_the_command_writes_a_lock_file_that_settings_can_name(
    channel: Path, tmp_path: Path
) -> None:
    output = tmp_path / "site/flux.lock"
    status, told = run("flux", "--channel", str(channel), "--output", str(output))
    assert (status, "flux-core 0.85.0" in told, "flux-sched 0.50.0" in told) == (0, True, True)
    assert installation_problems(
        INSTALLATION, {"channel": str(channel), "lock": str(output)}
    ) == []  # fmt: skip
    assert list(output.parent.iterdir()) == [output]
    assert LockFile.from_path(output).default_environment()


def test_the_command_leaves_the_lock_file_as_it_was_when_it_fails(
    channel: Path, tmp_path: Path
) -> None:
    output = tmp_path / "flux.lock"
    output.write_text("before")
    where = ("--output", str(output))
    assert run("flux", "--channel", str(channel))[0] == 1
    status, told = run("flux", "--channel", str(tmp_path / "no"), *where)
    assert (status, "cannot be pinned" in told, "no such file" in told) == (1, True, True)
    old = make_flux_channel(tmp_path / "old", core="0.83.0")
    status, told = run("flux", "--channel", str(old), *where)
    assert (status, "flux-core >=0.85" in told) == (1, True)
    assert run("slurm", *where)[0] == 1
    assert output.read_text() == "before"


def test_a_channel_that_tells_no_digests_is_not_pinned(channel: Path, tmp_path: Path) -> None:
    path = channel / "linux-64/repodata.json"
    repodata = json.loads(path.read_text())
    for about in repodata["packages"].values():
        del about["sha256"]
    path.write_text(json.dumps(repodata))
    output = tmp_path / "flux.lock"
    status, told = run("flux", "--channel", str(channel), "--output", str(output))
    assert (status, "has no SHA-256 of" in told, output.exists()) == (1, True, False)


def test_names_urls_and_folders_are_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = f"{tmp_path.as_uri()}/x/"
    assert channel_url("./x") == channel_url(str(tmp_path / "x/")) == channel_url(folder) == folder
    assert channel_url("https://host/a") == channel_url("https://host/a/") == "https://host/a/"
    assert channel_url(CHANNEL).endswith("/conda-forge/")
    with pytest.raises(SchedlabError, match="is no channel: could not parse url"):
        channel_url("http://[")
    (problem,) = installation_problems(INSTALLATION, {"Channel": "http://["})
    assert (problem.key, problem.what[:11]) == ("Channel", "no channel:")
    status, told = run("flux", "--channel", "http://[", "--output", str(tmp_path / "flux.lock"))
    assert (status, "http://[" in told) == (1, True)


@pytest.mark.parametrize(
    ("channel", "shown", "what"),
    [
        ("https://user:secret@host/x", "https://***@host/x", "a URL with credentials"),
        ("https://host/t/secret/x", "https://host/t/***/x", "a URL with credentials"),
        ("https://host/x?token=secret", "https://host/x?***", "a URL with credentials"),
        ("ftp://user:secret@host/x", "ftp://***@host/x", "neither an http, an https nor a file"),
        ("conda forge", "conda forge", "no channel's name"),
    ],
)
def test_what_is_no_channel_is_refused_and_no_secret_is_shown(
    tmp_path: Path, channel: str, shown: str, what: str
) -> None:
    for written in ({"channel": channel}, {"channel": channel, "lock": "x"}):
        (problem,) = FLUX.settings_problems(written)
        assert (problem.key, problem.value) == ("channel", shown)
        assert problem.what.startswith(what) and "secret" not in problem.remedy
    status, told = run("flux", "--channel", channel, "--output", str(tmp_path / "flux.lock"))
    assert (status, shown in told, "secret" in told) == (1, True, False)


def test_a_label_of_a_channel_is_a_channel() -> None:
    assert channel_url("conda-forge/label/dev").endswith("/conda-forge/label/dev/")
