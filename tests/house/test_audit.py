"""The audit of dependencies: what it says of a vulnerability, of none, and without the network."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.postgres import free_port

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
VULNERABILITY = {
    "id": "PYSEC-2026-1",
    "summary": "It is wrong.",
    "affected": [
        {
            "package": {"name": "bad", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}

pytestmark = pytest.mark.slow


class Advisories(BaseHTTPRequestHandler):
    """Answers as osv.dev does: the package `bad` has a vulnerability."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_bad = asked["package"]["name"] == "bad"
        content = json.dumps({"vulns": [VULNERABILITY]} if is_bad else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_said):
        pass


def audit(folder, pins, port):
    file = folder / "pins.txt"
    file.write_text(pins, "utf-8")
    address = f"http://127.0.0.1:{port}/v1/query"
    return subprocess.run(
        [sys.executable, AUDIT, "--osv-url", address, file],
        env={"NO_PROXY": "127.0.0.1", "HOME": str(folder), "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pins", "code", "says"),
    [
        ("good==1.0\n", 0, "1 dependencies audited, 0 known vulnerabilities"),
        ("good==1.0\nbad==1.0\n", 1, "bad 1.0: PYSEC-2026-1; mended in: 1.1"),
    ],
)
def test_a_known_vulnerability_fails(tmp_path, pins, code, says):
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = audit(tmp_path, pins, server.server_port)
        server.shutdown()
        thread.join()
    assert done.returncode == code, done.stderr
    assert says in done.stdout


def test_without_advisories_it_says_that_nothing_was_audited(tmp_path):
    done = audit(tmp_path, "good==1.0\n", free_port())
    assert done.returncode == 0, done.stderr
    assert "NOT AUDITED, the advisories cannot be reached" in done.stdout


def test_a_file_that_cannot_be_audited_fails(tmp_path):
    done = audit(tmp_path, "good>=1.0\n", free_port())
    assert done.returncode == 1
    assert done.stderr
