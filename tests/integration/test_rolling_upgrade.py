"""Two versions of Harken serve on one PostgreSQL while its schema becomes that of the newer one.

The older version is taken from the history of this checkout: the last one before a schema was
added. A copy without history, such as a source archive or a shallow clone, cannot run this.
"""

import asyncio
import io
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.faults import SOAK
from tests.support.load import Load
from tests.support.server import HarkenProgram

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted((ROOT / "src/harken/migrations/versions").glob("[0-9]*.py"))
EVENTS = 300
MIGRATE_SECONDS = 120

pytestmark = [
    pytest.mark.skipif(not SOAK, reason="two versions at once take long: make soak"),
    pytest.mark.timeout(1_200),
]


def version_before(schema: Path, folder: Path) -> Path:
    """Return the sources of the last version without a schema, in a folder; skip if unknown."""

    def git(*arguments: str) -> bytes:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"this copy has no version before {schema.name} in its history")
        return done.stdout

    added = git("log", "--diff-filter=A", "--format=%H", "--", str(schema.relative_to(ROOT)))
    if not added.split():
        pytest.skip(f"the history does not say when {schema.name} came")
    before = added.split()[-1].decode() + "^"
    with tarfile.open(fileobj=io.BytesIO(git("archive", before, "src", "alembic.ini"))) as files:
        files.extractall(folder, filter="data")
    return folder / "src"


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[list[int]]:
    """Ask for pages, one after the other; yields their statuses."""
    statuses: list[int] = []
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:

        async def read() -> None:
            while True:
                page = await client.get("/api/feed/cosmos?user_id=user-1")
                statuses.append(page.status_code)

        task = asyncio.create_task(read())
        try:
            yield statuses
            assert not task.done()  # no request has failed
        finally:
            task.cancel()
            await asyncio.wait([task])


async def migrate(environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harken", "migrate", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), MIGRATE_SECONDS)
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("schema", SCHEMAS[-2:], ids=lambda schema: f"before-{schema.stem[:4]}")
async def test_nothing_acknowledged_is_lost(empty_url: str, schema: Path, tmp_path: Path) -> None:
    source = version_before(schema, tmp_path)
    old = HarkenProgram(empty_url, PYTHONPATH=str(source))
    new = HarkenProgram(empty_url)
    await migrate(old._environment)
    async with AsyncExitStack() as stack:
        stack.enter_context(old)
        first, second = Load(old.url), Load(new.url)
        async with first.running(), reading(old.url) as of_old:
            await first.until_acknowledged(EVENTS)
            said = await migrate(new._environment)
            assert f"is now {SCHEMAS[-1].stem[:4]}" in said
            await first.until_acknowledged(EVENTS)
            await asyncio.to_thread(stack.enter_context, new)
            await stack.enter_async_context(second.running())
            of_new = await stack.enter_async_context(reading(new.url))
            await asyncio.gather(*(each.until_acknowledged(EVENTS) for each in (first, second)))
        await asyncio.to_thread(old.terminate)
        await second.until_acknowledged(EVENTS)
    assert set(of_old) == set(of_new) == {200}
    assert (first.acknowledged, second.acknowledged) == (set(first.sent), set(second.sent))
    async with session_factory_for(empty_url) as sessions, FeedFeedbackPersistence(sessions) as log:
        logged = [entry.id async for page in log.entries() for entry in page]
        assert sorted(logged) == sorted({*first.sent, *second.sent})
        found = await log.verify()
        if found.differences:  # statistics that the old version does not know
            await log.rebuild()
            found = await log.verify()
        assert (found.events, found.differences) == (len(logged), 0)
