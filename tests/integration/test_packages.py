"""What deploy/ has for operators: checked by the tools of each, and run as far as it can be here.

There is no Docker engine here. So the steps of the Dockerfile are taken from it and run in folders
in place of the image's: what is copied, built and installed, and then the command and the health
check, as the user of the image.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.access import as_key, make_keys
from tests.support.chromium import program
from tests.support.nginx import nginx_running
from tests.support.postgres import free_port
from tests.support.server import HarkenServer

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SOAK = bool(os.environ.get("HARKEN_TEST_SOAK"))
START_SECONDS, POLL_SECONDS = 60, 0.2
MOST_EXPOSURE = 2.0  # of 10, as `systemd-analyze security` reckons


def checked(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


# The files, by their tools


def test_the_dockerfile_is_sound():
    checked(tool("hadolint"), "--failure-threshold=style", DEPLOY / "Dockerfile")


def test_the_compose_file_is_sound():
    schema = "--builtin-schema=vendor.compose-spec"
    checked(tool("check-jsonschema"), schema, DEPLOY / "compose.yaml")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    after = services["harken"]["depends_on"]["migrate"]["condition"]
    assert after == "service_completed_successfully"


def test_the_kubernetes_manifests_are_sound():
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    said = checked(tool("kubernetes-validate"), "--strict", *files)
    found = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    assert {each["kind"] for each in found} == {
        "Deployment", "Job", "PodDisruptionBudget", "Service",
    }  # fmt: skip
    assert said.count("passed for resource") == len(found)


def test_the_units_of_systemd_are_sound(tmp_path):
    systemd = program("systemd-analyze")
    for unit in (DEPLOY / "systemd").iterdir():
        # The program is not installed here.
        text = unit.read_text().replace("/opt/harken/bin/harken", shutil.which("true") or "")
        (tmp_path / unit.name).write_text(text)
    said = checked(systemd, "verify", "--man=no", *sorted(tmp_path.iterdir()))
    assert not said, said
    judged = checked(systemd, "security", "--offline=true", tmp_path / "harken.service")
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", judged)
    assert float(exposure) <= MOST_EXPOSURE, judged


def test_the_configuration_of_prometheus_is_sound(tmp_path):
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    (tmp_path / "key").write_text("hk_")
    for shown, real in (
        ("/etc/prometheus/harken-alerts.yml", DEPLOY / "prometheus/alerts.yml"),
        ("/etc/prometheus/harken-key", tmp_path / "key"),
    ):
        assert shown in text
        text = text.replace(shown, str(real))
    (tmp_path / "prometheus.yml").write_text(text)
    checked(program("promtool"), "check", "config", tmp_path / "prometheus.yml")


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_nginx_serves_harken_under_its_prefix(database_url, session_factory, tmp_path):
    nginx, port = program("nginx"), free_port()
    keys = await make_keys(session_factory)
    environment = {
        "HARKEN_FORWARDED_ALLOW_IPS": "127.0.0.1", "HARKEN_ROOT_PATH": "/harken",
        "HARKEN_METRICS": "true",
    }  # fmt: skip
    with HarkenServer(database_url, **environment) as server:
        text = (DEPLOY / "nginx/harken.conf").read_text()
        for shown, real in (
            ("listen 80", f"listen 127.0.0.1:{port}"),
            ("server 127.0.0.1:8000", f"server 127.0.0.1:{server.port}"),
        ):
            assert shown in text
            text = text.replace(shown, real)
        with nginx_running(nginx, tmp_path, text, port):
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", trust_env=False
            ) as client:
                moved = await client.get("/harken")
                assert (moved.status_code, moved.headers["location"][-8:]) == (301, "/harken/")
                page = await client.get("/harken/", headers={"Accept": "text/html"})
                assert 'src="/harken/static/' in page.text
                assert (await client.get("/harken/healthz")).json() == {"status": "ok"}
                path = "/harken/api/feed/feedback/record"
                event = {"user_id": "ada", "kblock_id": "one", "action": "view"}
                assert (await client.post(path, json=event)).status_code == 401
                sent = await client.post(path, json=event, headers=as_key(keys["ingest"]))
                assert sent.status_code == 200
                read = as_key(keys["read"])
                assert (await client.get("/harken/metrics", headers=read)).status_code == 404


# The steps of the Dockerfile


class Stage:
    """The instructions of a stage, in their order."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def of(self, kind: str) -> list[str]:
        return [text for name, text in self.steps if name == kind]


def stages() -> list[Stage]:
    """Read the Dockerfile; lines that end with a backslash go on."""
    lines = [
        line
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    found: list[Stage] = []
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append(Stage())
        else:
            found[-1].steps.append((name, rest.strip()))
    return found


def values(texts: list[str]) -> dict[str, str]:
    return dict(each.split("=", 1) for text in texts for each in shlex.split(text))


def built(folder: Path) -> dict[str, str]:
    """Run the first stage in a folder; return the environment of the second one."""
    first, second = stages()
    source, home = folder / "src", folder / "home"
    source.mkdir()
    home.mkdir()
    for each in first.of("COPY"):
        *names, target = shlex.split(each)
        for name in names:
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, source / target / ".", ignore=ignore)
            else:
                shutil.copy(ROOT / name, source / target)
    arguments = values(first.of("ARG"))
    for line in first.of("RUN"):
        here = line.replace("/opt/harken", str(folder / "opt"))
        here = here.replace("python -m venv", f"{shlex.quote(sys.executable)} -m venv")
        if not SOAK:  # the dependencies are those of this environment
            here = here.replace("pip install", "pip install --no-deps")
        done = subprocess.run(
            ["bash", "-ec", here], cwd=source, env=os.environ | arguments, capture_output=True,
            text=True, check=False, timeout=900,
        )  # fmt: skip
        if "Could not find a version" in done.stderr or "ConnectionError" in done.stderr:
            pytest.skip("no index of packages can be reached from here")
        assert done.returncode == 0, done.stdout + done.stderr
    if not SOAK:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = folder / "opt/lib" / version / "site-packages"
        (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return _environment(second, folder)


def _environment(stage: Stage, folder: Path) -> dict[str, str]:
    found = {
        name: value.replace("/opt/harken", str(folder / "opt")).replace("$PATH", os.environ["PATH"])
        for name, value in values(stage.of("ENV")).items()
    }
    return {"HOME": str(folder / "home")} | found


@cache
def as_user_of_the_image() -> tuple[str, ...]:
    """Return the beginning of a command that runs as the image's user, who is in no list of users.

    In a namespace of users, so that what root alone may read here, such as its Python, can be read.
    """
    [user] = stages()[1].of("USER")
    user_id, group_id = user.split(":")
    command = ("unshare", "--user", f"--map-user={user_id}", f"--map-group={group_id}")
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return ()
    asked = subprocess.run([*command, "id", "-u"], capture_output=True, text=True, check=False)
    return command if asked.stdout.strip() == user_id else ()


def given(stage: Stage, instruction: str) -> list[str]:
    """Return the command of an instruction, which is written as JSON."""
    [text] = stage.of(instruction)
    words: list[str] = json.loads(text[text.index("[") :])
    return words


@contextmanager
def started(folder: Path, environment: dict[str, str]):
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*as_user_of_the_image(), *given(stages()[1], "CMD")],
            env=environment, cwd=folder / "home", stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.skipif(sys.platform != "linux", reason="the image is for Linux")
def test_what_the_dockerfile_builds_serves_and_is_healthy():
    folder = Path(tempfile.mkdtemp(prefix="harken-image-"))
    try:
        environment = built(folder) | {
            "HARKEN_PORT": str(free_port()), "HARKEN_API_KEYS": "sesame",
            "HARKEN_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/home/harken.db",
        }  # fmt: skip
        where = ["python", "-c", "import harken; print(harken.__file__)"]
        assert str(folder) in _ran(where, environment, folder).stdout
        health = given(stages()[1], "HEALTHCHECK")
        assert _ran(health, environment, folder).returncode != 0  # nobody serves yet
        with started(folder, environment) as process:
            deadline = time.monotonic() + START_SECONDS
            while _ran(health, environment, folder).returncode:
                said = (folder / "output").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(POLL_SECONDS)
            url = f"http://127.0.0.1:{environment['HARKEN_PORT']}"
            event = {"user_id": "ada", "kblock_id": "one", "action": "view"}
            sent = httpx.post(f"{url}/api/feed/feedback/record", json=event, trust_env=False,
                              headers={"X-API-Key": "sesame"})  # fmt: skip
            assert sent.status_code == 200
        assert "Traceback" not in (folder / "output").read_text()
    finally:
        shutil.rmtree(folder)


def _ran(command: list[str], environment: dict[str, str], folder: Path):
    return subprocess.run(
        [*as_user_of_the_image(), *command],
        env=environment, cwd=folder / "home", capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
