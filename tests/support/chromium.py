"""Chromium as the tests use it: Debian's, headless, and silent on the network."""

import os
import shutil

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
