"""A real nginx before a server."""

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.postgres import free_port

START_SECONDS = 60
ROOT = Path(__file__).parents[2]
SHOWN_SERVER = "http://127.0.0.1:8000"


def location_with_readers(folder: Path, server: str) -> str:
    """Return the location of docs/auth.md that says who reads: ada, or nobody."""
    text = (ROOT / "docs/auth.md").read_text("utf-8").split("\n## Sign-in by proxy\n")[1]
    location = text.split("```nginx\n")[1].split("```")[0]
    (folder / "readers").write_text("ada:{PLAIN}a password\n", "utf-8")
    for shown, real in ((SHOWN_SERVER, server), ("/etc/nginx/readers", f"{folder}/readers")):
        assert shown in location
        location = location.replace(shown, real)
    return location


@contextmanager
def nginx_with(nginx: str, folder: Path, location: str):
    """Run nginx with one location; yields its address."""
    port = free_port()
    with nginx_running(nginx, folder, f"server {{ listen 127.0.0.1:{port};\n{location}\n}}", port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx_running(nginx: str, folder: Path, servers: str, port: int):
    """Run nginx with these servers, one of which listens on a port."""
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
        "events { worker_connections 64; }\n"
        "http {\n"
        f"  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"{servers}\n"
        "}\n",
        "utf-8",
    )
    with (folder / "nginx.log").open("wb") as output:
        process = subprocess.Popen(
            [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                said = (folder / "nginx.log").read_text("utf-8", "replace")
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(30)
