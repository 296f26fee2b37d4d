"""A real Prometheus scrapes a real server, with the alert rules that come with Harken."""

import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from tests.support.chromium import program
from tests.support.postgres import free_port
from tests.support.server import HarkenServer

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
START_SECONDS = 60


def test_the_alert_rules_are_sound():
    checked = subprocess.run(
        [program("promtool"), "check", "rules", RULES], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_prometheus_knows_what_the_log_has(database_url, tmp_path):
    with HarkenServer(database_url, HARKEN_METRICS="true") as server:
        for number in range(5):
            event = {"user_id": "u", "kblock_id": f"k{number}", "action": "view"}
            path = f"{server.url}/api/feed/feedback/record"
            httpx.post(path, json=event, trust_env=False).raise_for_status()
        with _prometheus(tmp_path, server.url) as ask:
            assert _until(lambda: ask('harken_interactions_total{action="view"}')) == [5.0]
            assert ask("harken_database_up") == [1.0]
            # What rules and dashboard name is there, but for the model's age: there is no model.
            named = set(re.findall(r"\b(?:harken|http_server)_\w+", RULES.read_text("utf-8")))
            named |= set(re.findall(r"\b(?:harken|http_server)_\w+", DASHBOARD.read_text("utf-8")))
            # `harken consume` has those of streams, and a server with standbys those of standbys;
            # test_consume.py and test_standbys.py look for them.
            others = {
                name for name in named if name.startswith(("harken_stream_", "harken_standby_"))
            }
            for name in named - others - {"harken_model_age_seconds"}:
                assert ask(f"count({name})"), name


def _until(ask):
    deadline = time.monotonic() + START_SECONDS
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@contextmanager
def _prometheus(folder: Path, target: str):
    """Run Prometheus with one target; yields a function that returns the values of a query."""
    port, config = free_port(), folder / "prometheus.yml"
    scrape = {"job_name": "harken", "static_configs": [{"targets": [target.split("//")[1]]}]}
    config.write_text(
        yaml.safe_dump({
            "global": {"scrape_interval": "1s"}, "rule_files": [str(RULES)],
            "scrape_configs": [scrape],
        }),
        "utf-8",
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with (folder / "prometheus.log").open("wb") as output:
        process = subprocess.Popen(
            [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def ask(query):
        try:
            answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False)
        except httpx.TransportError:
            assert process.poll() is None, (folder / "prometheus.log").read_text("utf-8")
            return []
        found = answer.json()
        return [float(each["value"][1]) for each in found.get("data", {}).get("result", [])]

    try:
        yield ask
    finally:
        process.terminate()
        process.wait(30)
