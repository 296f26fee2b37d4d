"""The examples run, and the docs show them as they are."""

import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("example", "prints"),
    [
        ("feed.py", "0.50 Hello\n0.00 World\n"),
        ("record.py", "Attention score: 0.4167\n"),
        ("own_feed.py", "0.80 unknown\n0.50 known\n"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_python_example(database_url, tmp_path, example, prints):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example],
        env={"HARKEN_DATABASE_URL": database_url, "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (prints, "")


@pytest.mark.slow
async def test_the_cluster_survives_its_primary_and_ends_whole(tmp_path):
    output = tmp_path / "output"
    with output.open("wb") as written:
        process = subprocess.Popen(  # noqa: ASYNC220 — it returns at once
            [sys.executable, "-m", "examples.cluster"],
            cwd=ROOT, stdout=written, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        await until(lambda: process.poll() is not None or "Ctrl-C" in output.read_text())
        told = re.findall(r"^(.+?) +(\S+) +\(process (\d+)\)$", output.read_text(), re.MULTILINE)
        addresses = {name: address for name, address, _ in told}
        pids = {name: int(pid) for name, _, pid in told}
        assert set(pids) == {
            "primary", "standby", "broker", "service 1", "service 2", "consumer",
        }  # fmt: skip
        os.kill(pids["primary"], signal.SIGKILL)
        await until(lambda: "the standby has taken over" in output.read_text())
        for name in ("service 1", "service 2"):
            await until(partial(records, addresses[name]))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, output.read_text()
    assert not any(map(_runs, pids.values()))


def records(url):
    event = {"user_id": "ada", "kblock_id": "hello", "action": "engage"}
    return httpx.post(f"{url}/api/feed/feedback/record", json=event, trust_env=False).is_success


def test_the_docs_of_python_show_the_examples_as_they_are():
    page = (ROOT / "docs/python.md").read_text("utf-8")
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    for block, example in zip(blocks, ("feed.py", "record.py"), strict=True):
        assert block in (ROOT / "examples" / example).read_text("utf-8")


def test_the_docs_of_feeds_show_the_example_as_it_is():
    [shown] = (ROOT / "docs/feeds.md").read_text("utf-8").split("```python\n")[1:]
    assert shown.split("```")[0] in (ROOT / "examples/own_feed.py").read_text("utf-8")


def _runs(pid: int) -> bool:
    """Return whether a process does anything; nobody may have asked for how it ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
