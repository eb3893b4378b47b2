"""Prometheus as a process of a trial, with a stand-in for its program."""

from __future__ import annotations

import http.server
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.testbed import prometheus
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.tools import PROMETHEUS, discover


class Ready(http.server.BaseHTTPRequestHandler):
    """Another program that answers that it is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_another_program_that_took_the_port_first_is_not_taken_for_prometheus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho address already in use >&2\nexit 1\n")
    program.chmod(0o755)
    genuine = prometheus._ready

    def slowly_ready(server: prometheus.Server) -> bool:
        answer = genuine(server)
        # When the port is asked, the program has already found it taken.
        started[0].wait()
        return answer

    started: list[processes.subprocess.Popen[bytes]] = []
    popen = processes.subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[0]
    )
    monkeypatch.setattr(prometheus, "_ready", slowly_ready)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        monkeypatch.setattr(prometheus, "free_port", lambda: other.server_address[1])
        with (
            pytest.raises(SchedlabError, match="address already in use"),
            prometheus.prometheus(program, tmp_path / "p", {}),
        ):
            pass
        other.shutdown()


STAND_IN = """\
import base64, http.server, json, os, sys
import bcrypt, yaml
options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
access = options["web.config.file"]
mode = os.stat(access).st_mode & 0o777
users = yaml.safe_load(open(access))["basic_auth_users"]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        name, _, password = base64.b64decode(given).decode().partition(":")
        allowed = name in users and bcrypt.checkpw(password.encode(), users[name].encode())
        self.send_response(200 if allowed else 401)
        self.end_headers()
        answer = {"data": {"name": "block", "mode": mode, "words": sys.argv, "password": password}}
        if allowed:
            self.wfile.write(json.dumps(answer).encode())

    do_POST = do_GET
    log_message = lambda *_: None

host, _, port = options["web.listen-address"].rpartition(":")
http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""


def test_only_who_has_the_password_reaches_the_api(tmp_path: Path) -> None:
    program, folder = tmp_path / "prometheus", tmp_path / "p"
    program.write_text(f"#!{sys.executable}\n{STAND_IN}")
    program.chmod(0o755)
    with prometheus.prometheus(program, folder, {}) as server:
        for user in (None, ("schedlab", ""), ("schedlab", "guess")):
            for path in ("-/ready", "api/v1/admin/tsdb/snapshot", "metrics"):
                answer = requests.post(f"{server.url}/{path}", auth=user, timeout=10)
                assert answer.status_code == 401
        found = server.ask("query", query="up")
        # The folder of the trial is made under the user's umask.
        assert found["mode"] == 0o600
        secret = found["password"]
        assert len(secret) > 40 and secret not in repr(server)
        assert not [word for word in found["words"] if secret in word]
        assert not [path for path in folder.iterdir() if secret in path.read_text()]
        (folder / "data" / "snapshots" / "block").mkdir(parents=True)
        prometheus.snapshot_block(server, folder / "data", folder)
    # Outputs of a trial are what is in its folder at its end.
    assert {path.name for path in folder.iterdir()} == {
        "block", "data", "prometheus.log", "prometheus.yml"
    }  # fmt: skip


DIES = """\
class Mortal(Handler):
    def do_GET(self):
        if not self.path.startswith("/-/ready"):
            os.kill(os.getpid(), 9)
        super().do_GET()
"""


def test_a_prometheus_that_dies_is_told_in_plain_words(tmp_path: Path) -> None:
    """Of two questions the first meets the death, and the second a closed port."""
    program, folder = tmp_path / "prometheus", tmp_path / "p"
    head, serve = STAND_IN.rsplit("\nhost, _, port", 1)
    program.write_text(
        f"#!{sys.executable}\n{head}\n{DIES}\nhost, _, port{serve.replace('Handler', 'Mortal')}"
    )
    program.chmod(0o755)
    with prometheus.prometheus(program, folder, {}) as server:
        for ask in (
            lambda: prometheus.scrapes(server, 5.0),
            lambda: prometheus.targets_down(server),
            lambda: prometheus.snapshot_block(server, folder / "data", folder),
        ):
            with pytest.raises(SchedlabError) as caught:
                ask()
            assert server.process is not None
            server.process.wait(60)
            assert str(folder / "prometheus.log") in str(caught.value)
            assert caught.value.message.startswith("Prometheus could not be asked: ")
            assert "HTTPConnectionPool" not in str(caught.value)
        said = "Prometheus could not be asked: its process was ended by SIGKILL"
        assert caught.value.message == said


def test_an_answer_that_is_none_is_told_in_plain_words(tmp_path: Path) -> None:
    server = prometheus.Server("http://127.0.0.1:1", "secret", tmp_path / "prometheus.log")
    with pytest.raises(SchedlabError) as caught:
        server.ask("query", query="up")
    assert caught.value.message == "Prometheus could not be asked: connection refused"
    with pytest.raises(SchedlabError, match=r"text format: connection refused"):
        prometheus.read_exporter("127.0.0.1", 1)


def test_the_real_program_asks_for_the_password(tmp_path: Path) -> None:
    found = discover(PROMETHEUS)
    cached = sorted(Cache.default().root.glob("prometheus/*/content/prometheus"))
    if found is None and not cached:
        pytest.skip("Prometheus is neither installed nor in the cache")
    config = prometheus.scrape_config([("job", "n", "127.0.0.1", 9)], 1.0, "slurm-n1")
    program = found.path if found else cached[-1]
    with prometheus.prometheus(program, tmp_path / "p", config) as server:
        for path in ("-/ready", "api/v1/admin/tsdb/snapshot", "metrics"):
            assert requests.post(f"{server.url}/{path}", timeout=10).status_code == 401
        prometheus.targets_down(server)
        # Nobody listens on the port, so the first scrape ends at once and without success.
        while not (found_scrapes := prometheus.scrapes(server, 30.0))["scraped"]:
            time.sleep(0.1)
        assert found_scrapes["scraped"] == {"job/n": 0.0}
        assert 0 <= found_scrapes["scrape_durations"]["job/n"] <= 1.0
        prometheus.snapshot_block(server, tmp_path / "p" / "data", tmp_path / "p")
    assert not (tmp_path / "p" / "web.yml").exists()
