"""The documentation: the site builds without a warning, and names only modules that exist."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harken import errors
from harken.protocols.api.feed_schemas import FeedQuery
from harken.protocols.cli.command_list import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
MODULE_FILE = re.compile(r"`([\w./]+\.py)`")
DOTTED_NAME = re.compile(r"\bharken(?:\.\w+)+\b(?!\.)")
NO_MODULES = {
    "harken.conf", "harken.db", "harken.dump", "harken.env", "harken.service",  # files
    "harken.events", "harken.kblocks",  # attributes of spans
}  # fmt: skip
NAME_OF_CODE = re.compile(r"_*(?:[A-Z]\w+|\w*_\w*|\w+\(\)|[A-Z]\w+\.\w+\(\))")
"""Names that are unlike words: constants, classes, names with an underscore, calls."""
RECIPES = ROOT / "docs/extending.md"
LOADED_FROM_ELSEWHERE = re.compile(r'<(?:link|script|img)[^>]+(?:href|src)="(?:https?:)?//')


def test_the_site_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [
            sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going",
            "--doctree-dir", tmp_path / "doctrees", ROOT / "docs", tmp_path / "site",
        ],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        assert not LOADED_FROM_ELSEWHERE.search(page.read_text("utf-8")), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_only_modules_that_exist(page):
    text = page.read_text("utf-8")
    folders = ("src", "tests", "benchmarks", "examples", "docs")
    known = [
        f"/{path.relative_to(ROOT)}" for each in folders for path in ROOT.glob(f"{each}/**/*.py")
    ]
    for name in MODULE_FILE.findall(text):
        assert any(path.endswith(f"/{name}") for path in known), name
    for name in set(DOTTED_NAME.findall(text)) - NO_MODULES:
        pkgutil.resolve_name(name)


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_the_drawing_has_every_room_in_its_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [rooms] = [each["layers"] for each in contracts if each.get("exhaustive")]
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    [drawing] = re.findall(r"^services +┌.+?^models", page, re.MULTILINE | re.DOTALL)
    boxes = [line.split("│")[1:-1] for line in drawing.splitlines() if "│" in line]
    drawn = [{each.strip().removesuffix(".py") for each in box} for box in boxes]
    assert drawn == [set(each.split(" | ")) for each in rooms]


def test_the_table_of_folders_has_every_room():
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    [table] = re.findall(r"^## Where things are\n(.+?)^## ", page, re.MULTILINE | re.DOTALL)
    source = ROOT / "src/harken"
    rooms = [path.parent.relative_to(source) for path in source.glob("*/**/__init__.py")]
    # Folders of pages and of commands are named as a whole.
    rooms = [
        each
        for each in rooms
        if each.parts[:2] not in {("protocols", "pages"), ("protocols", "cli")}
    ]
    named = set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))
    missing = [
        str(each)
        for each in rooms
        if len(each.parts) > 1
        and not {f"src/harken/{each}", f"…/{'/'.join(each.parts[-2:])}"} & named
    ]
    assert not missing


def test_the_recipes_name_what_is_in_their_files():
    sources = {
        f"/{path.relative_to(ROOT)}": path.read_text("utf-8")
        for folder in ("src", "tests", "benchmarks")
        for path in ROOT.glob(f"{folder}/**/*.*")
        if path.suffix in {".py", ".js"}
    }
    checked = 0
    for step in re.findall(r"^ *(?:\d+\.|-) .+$", RECIPES.read_text("utf-8"), re.MULTILINE):
        quoted = re.findall(r"`([^`]+)`", step)
        files = [name for name in quoted if name.endswith((".py", ".js"))]
        texts = [
            text for path, text in sources.items() for file in files if path.endswith(f"/{file}")
        ]
        for name in quoted:
            if texts and NAME_OF_CODE.fullmatch(name):
                checked += 1
                word = name.removesuffix("()").rpartition(".")[2]
                assert any(re.search(rf"\b{word}\b", text) for text in texts), (name, files)
    assert checked > 40


def test_every_error_is_in_the_tree_and_in_the_docs():
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    defined = {each.__name__ for each in kinds if issubclass(each, errors.HarkenError)}
    tree = set(re.findall(r"(?:── |^    )(\w+)", errors.__doc__ or "", re.MULTILINE))
    documented = set(re.findall(r"autoclass:: (\w+)", (DOCS / "python.md").read_text("utf-8")))
    assert defined <= tree
    assert defined <= documented


def test_the_table_of_a_page_has_all_parameters():
    text = (DOCS / "rest.md").read_text("utf-8").partition("## GET /api/feed/{name}")[2]
    table = text.partition("| parameter |")[2].partition("A parameter that is not")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(FeedQuery.model_fields)


def test_the_table_of_verbs_has_all_commands():
    table = (DOCS / "cli.md").read_text("utf-8").partition("| verb |")[2].partition("\n\n")[0]
    verbs = {each.split()[0] for each in re.findall(r"^\| \[`([^`]+)`", table, re.MULTILINE)}
    assert verbs == set(COMMANDS)
