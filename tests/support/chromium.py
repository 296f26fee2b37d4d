"""Chromium as the tests use it: Debian's, headless, and silent on the network."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED = "HARKEN_TEST_REQUIRE_BROWSER"
FLAGS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.02


def program(*names: str) -> str:
    """Return the path of a program that tests need, by the first of its names that is found.

    Without it the test is skipped; with HARKEN_TEST_REQUIRE_BROWSER=1 it fails.
    """
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing = f"no {names[0]} on this machine: this is not tested"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{missing}, and {REQUIRED}=1 asks for it", pytrace=False)
        pytest.skip(missing)
    return found


def chromium() -> str:
    """Return the path of the browser, or skip."""
    return program("chromium", "chromium-browser")


@contextmanager
def started_by_hand() -> Iterator[str]:
    """Start a browser as a person does, and give the URL at which one can look on.

    The browsers that Playwright starts pretend that every tab is in front; here a tab hides the
    one before, and pages that are left are kept for going back.
    """
    path = chromium()
    profile = Path(tempfile.mkdtemp(prefix="harken-chromium-"))
    options = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [path, *FLAGS, *options, "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield _debugging_url(process, profile / "DevToolsActivePort")
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        shutil.rmtree(profile, ignore_errors=True)


def _debugging_url(process: subprocess.Popen[bytes], file: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not (file.exists() and "\n" in file.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"chromium does not start (exit code {process.poll()})")
        time.sleep(POLL_SECONDS)
    return f"http://127.0.0.1:{file.read_text().splitlines()[0]}"
