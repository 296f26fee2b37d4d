"""House rules that no linter checks."""

import ast
import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import harken
import harken.models
import harken.services.feed.feedback
from harken.config import Settings
from harken.setting_names import PREFIX

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "harken"
MODULES = sorted(PACKAGE.rglob("*.py"))

MOST_LINES = 400
MOST_MODULES = 15

# The modules that may contain SQL: stores, and the one that opens databases.
STORES = {
    "database.py",
    "databases/prepared.py",
    "databases/standbys.py",
    "databases/transactions.py",
    "services/access/key_store.py",
    "services/record/analytics.py",
    "services/record/attention_scores.py",
    "services/record/verification.py",
    "services/feed/caches/catalogue.py",
    "services/feed/caches/descriptions.py",
    "services/feed/caches/index_statements.py",
    "services/feed/caches/known_events.py",
    "services/kblocks/continuity.py",
    "services/feed/declarations.py",
    "services/experiments/adaptive/store.py",
    "services/experiments/observations.py",
    "services/experiments/past_readers.py",
    "services/experiments/store.py",
    "services/experiments/promotion/reader_log.py",
    "services/integrity/alerts/alert_store.py",
    "services/integrity/alerts/stored_log.py",
    "services/integrity/backup/sqlite_backup.py",
    "services/integrity/archive/archiving.py",
    "services/integrity/archive/dropping.py",
    "services/integrity/archive/erasing.py",
    "services/integrity/archive/file_register.py",
    "services/integrity/archive/whole_partitions.py",
    "services/integrity/partitions/layout.py",
    "services/integrity/partitions/making.py",
    "services/integrity/partitions/removing.py",
    "services/integrity/compaction.py",
    "services/integrity/activity.py",
    "services/integrity/event_removal.py",
    "services/integrity/export.py",
    "services/integrity/holdings.py",
    "services/integrity/quarantine/audit.py",
    "services/integrity/quarantine/marks.py",
    "services/integrity/receipts.py",
    "services/integrity/key_lists.py",
    "services/integrity/prepared_recount.py",
    "services/integrity/prepared_statements.py",
    "services/integrity/quarantine/turn.py",
    "services/integrity/recounting.py",
    "services/integrity/writers.py",
    "services/record/admission/log_start.py",
    "services/record/admission/quarantines.py",
    "services/record/baseline/definitions.py",
    "services/record/admission/rules_token.py",
    "services/record/admission/tombstones.py",
    "services/record/decayed_counts.py",
    "services/record/figures/drill_down.py",
    "services/record/figures/impressions.py",
    "services/record/figures/periods.py",
    "services/record/figures/places.py",
    "services/record/figures/shown_items.py",
    "services/record/ledger/entries.py",
    "services/record/ledger/shown_kblocks.py",
    "services/record/log_order/following.py",
    "services/record/log_order/numbers.py",
    "services/registry/training_data.py",
    "services/registry/event_files.py",
    "services/registry/leases.py",
    "services/record/transaction.py",
    "services/registry/store.py",
    "services/record/persistence.py",
    "services/feed/caches/log_reads.py",
    "services/feed/caches/texts.py",
    "services/record/readers.py",
    "services/record/comments/recording.py",
    "services/record/comments/store.py",
    "services/record/reading/contradicting.py",
    "services/record/reading/effects.py",
    "services/record/reading/store.py",
    "services/registry/report_store.py",
    "services/record/slates.py",
    "services/record/statistics.py",
    "services/record/window_analytics.py",
    "services/record/write_probe.py",
    "services/record/contradictions.py",
    "services/kblocks/search/matches.py",
    "services/kblocks/search/rows.py",
    "services/kblocks/search/upkeep.py",
    "services/kblocks/store.py",
    "services/kblocks/turns.py",
    "services/simulation/demo_database.py",
    "services/sources/store.py",
}
# Import paths that the specification, the README and the examples use.
PUBLIC = {
    "harken.config": ["Settings"],
    "harken.domain.feeds": ["Feed", "FeedRanking"],
    "harken.domain.kblock": ["KBlock"],
    "harken.migrations": ["upgrade"],
    "harken.models": ["FeedEngagementStats", "FeedInteraction"],
    "harken.models.base": ["init_db"],
    "harken.protocols.api.feed": ["create_feed_router"],
    "harken.services.feed.asking": ["FeedRequest"],
    "harken.services.feed.columns": ["Columns"],
    "harken.services.feed.feedback": [
        "AttentionTrackerProtocol", "FeedbackAction", "InMemoryAttentionTracker",
        "PersistentAttentionTracker",
    ],
    "harken.services.feed.persistence": ["FeedFeedbackPersistence"],
    "harken.services.feed.ranking": ["explain", "scores", "select"],
    "harken.services.feed.request": ["FeedRequest"],
    "harken.services.feed.service": ["FeedService"],
    "harken.services.learning.collaborative": ["Collaborative", "fit"],
    "harken.services.learning.interactions": ["Interactions", "Interest"],
    "harken.services.learning.ranker": ["Model", "train"],
    "harken.services.providers": [
        "close_providers", "get_feed_feedback_persistence", "get_feed_service",
        "get_session_factory", "setup_providers",
    ],
    "harken.services.simulation.clicks": ["PositionBased"],
    "harken.services.simulation.sessions": ["simulate_session"],
    "harken.services.simulation.world": ["draw_world"],
}  # fmt: skip
SQL_NAMES = {"select", "insert", "update", "delete", "text", "func", "literal_column"}
TRANSACTIONS = {"execute", "commit", "exec_driver_sql", "begin"}


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:  # not a Git checkout but an unpacked archive
        return [path for path in ROOT.rglob("*") if path.suffix in {".py", ".md", ".txt"}]
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def longer_than(most: int, paths: Iterable[Path]) -> dict[str, int]:
    """Return the lines of those files that have more than `most`."""
    lines = {str(path): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert lines
    return {path: count for path, count in lines.items() if count > most}


def test_no_file_grows_too_long():
    folders = ("tests", "benchmarks", "clients/python")
    others = (path for name in folders for path in (ROOT / name).rglob("*.py"))
    made = ROOT / "clients/python/src/harken_client/shapes.py"  # of the OpenAPI document
    assert longer_than(MOST_LINES, {*MODULES, *others} - {made}) == {}


def test_scripts_and_styles_of_pages_stay_small():
    served = [
        path
        for path in (PACKAGE / "protocols/pages/static").rglob("*")
        if path.suffix in {".js", ".css"} and path.name != "harken-client.js"  # generated
    ]
    assert longer_than(MOST_LINES // 2, served) == {}


@pytest.mark.parametrize("suffix", [".py", ".js"])
def test_no_folder_grows_too_full(suffix):
    modules = [path for path in PACKAGE.rglob(f"*{suffix}") if path.stem != "__init__"]
    for folder in {path.parent for path in modules} - {PACKAGE / "migrations" / "versions"}:
        assert sum(path.parent == folder for path in modules) <= MOST_MODULES, folder


def test_every_room_says_what_it_is():
    for folder in (path.parent for path in MODULES if path.stem == "__init__"):
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        assert said, folder
        if folder.is_relative_to(PACKAGE / "services") and folder != PACKAGE / "services":
            assert all(word in said for word in ("In: ", "Out: ", "Front door")), folder


@pytest.mark.parametrize("module", PUBLIC, ids=str)
def test_public_names_are_where_they_were(module):
    found = importlib.import_module(module)
    assert all(hasattr(found, name) for name in PUBLIC[module])


def test_sql_stands_only_in_the_stores():
    others = [
        path
        for path in MODULES
        if relative(path) not in STORES and not relative(path).startswith(("migrations", "models"))
    ]
    assert [place for path in others for place in places_of_sql(path)] == []


def places_of_sql(path: Path) -> Iterator[str]:
    """Yield the lines of a module that make SQL, or run it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            is_sql = bool(SQL_NAMES & {name.name for name in node.names})
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_sql = node.func.attr in TRANSACTIONS
        else:
            continue
        if is_sql:
            yield f"{path}:{node.lineno}"


def test_the_public_names_are_these():
    assert harken.__all__ == [
        "FeedbackAction", "HarkenError", "Interaction", "Settings", "__version__",
    ]  # fmt: skip
    assert harken.models.__all__ == [
        "Base", "FeedActivityMinute", "FeedActivityTotal", "FeedAlert", "FeedAlertMember",
        "FeedAllocation", "FeedArchiveFile", "FeedBaselineContradiction", "FeedBaselineMinute",
        "FeedBaselineReader", "FeedComment", "FeedContradiction", "FeedDeclaration",
        "FeedDismissal",
        "FeedEngagementStats", "FeedErasure", "FeedExperiment", "FeedExposure", "FeedHalfLife",
        "FeedInteraction",
        "FeedKey", "FeedLayerSlot", "FeedLease", "FeedLogOrder", "FeedLogStart", "FeedModel",
        "FeedOrder",
        "FeedOrderSample",
        "FeedPromotion", "FeedQuarantine", "FeedQuarantineAct", "FeedRead", "FeedReport",
        "FeedSave", "FeedSecret", "FeedSetAside", "FeedSlate", "FeedSource", "FeedTombstone",
        "FeedTombstoneClock", "FeedUser", "FeedUserEngagementStats",
        "KBlockClock", "KBlockEdge", "KBlockRow", "KBlockVersion",
    ]  # fmt: skip
    assert harken.services.feed.feedback.__all__ == [
        "AttentionTracker", "AttentionTrackerProtocol", "FeedbackAction",
        "InMemoryAttentionTracker", "PersistentAttentionTracker",
    ]  # fmt: skip
    for module in (harken, harken.models, harken.services.feed.feedback):
        assert all(hasattr(module, name) for name in module.__all__)


def test_every_setting_has_its_heading_in_the_docs():
    headings = re.findall(
        r"^## (HARKEN_\w+)$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
    )
    assert sorted(headings) == sorted(PREFIX + name.upper() for name in Settings.model_fields)


def test_dependencies_have_lower_bounds_and_constraints_have_no_index():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    for dependency in [*project["dependencies"], *(each for extra in extras for each in extra)]:
        assert ">=" in dependency or dependency.startswith("harken["), dependency
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"(#.*|[\w.-]+==[\w.]+)", line), line


def test_no_file_names_a_registry():
    # In two parts, so that this file does not contain them.
    hosts = ["pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js.org"]
    for path in tracked():
        content = path.read_bytes()
        assert not any(host.encode() in content for host in hosts), path


def test_doctests_of_the_domain_hold():
    import doctest

    from harken.domain import attention, weeks

    for module in (attention, weeks):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0
