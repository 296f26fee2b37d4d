"""Properties of importing notes: whatever they hold, they are kept with their text."""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import ImportFailure, ImportItem
from tests.unit.test_markdown import write

NAME = "2019-01-01.md"  # dated, so that nothing asks git
KEYS = st.sampled_from(
    ["id", "title", "author", "authors", "by", "tags", "tag", "categories", "principles", "layer",
     "galois_loss", "confidence", "contradicts", "created", "date", "published", "draft", "aliases",
     "kind", "edges"]
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WILD = st.sampled_from(
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01", "x" * 100, "{{x}}", "[[a|b]]",
     "#a #b", "\x1b[1m", "-1", "1e309", "nan", "9" * 400, "yes", "null", "."]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | WILD | st.dates()
    | st.datetimes() | st.datetimes(timezones=st.timezones()),
    lambda inner: st.lists(inner, max_size=70) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
MATTER = st.dictionaries(KEYS | TEXT, VALUES, max_size=6).map(lambda fields: fields | {"layout": 1})


def kept(content: bytes) -> ImportItem:
    with tempfile.TemporaryDirectory() as folder:
        [unit] = list(Vault(write(Path(folder) / "v", {NAME: content}), drafts=True))
    assert isinstance(unit, ImportItem), unit
    return unit


@settings(deadline=None, max_examples=100)
@given(MATTER, TEXT)
def test_any_front_matter_in_yaml_keeps_the_note_and_its_text(fields, body):
    source = yaml.safe_dump(fields, allow_unicode=True)
    assert kept(f"---\n{source}---\n{body}".encode()).kblock.content.endswith(body)


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    is_number = isinstance(value, (bool, int)) or (
        isinstance(value, float) and math.isfinite(value)
    )
    return value if value is None or is_number else str(value)


@settings(deadline=None, max_examples=100)
@given(MATTER, TEXT, st.booleans())
def test_any_front_matter_in_json_keeps_the_note_and_its_text(fields, body, ascii_only):
    source = json.dumps(plain(fields), ensure_ascii=ascii_only)
    found = kept(f"{source}\n{body}".encode())
    assert found.kblock.content.endswith(body)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["---", "+++", ";;;", "---\r"]), TEXT, TEXT)
def test_anything_between_marks_keeps_the_note_and_its_text(mark, source, body):
    assert kept(f"{mark}\n{source}\n{mark}\n{body}".encode()).kblock.content.endswith(body)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["---", "+++"]), st.lists(st.tuples(KEYS, TEXT | WILD), max_size=8), TEXT)
def test_any_lines_keep_the_note_and_its_text(mark, lines, body):
    between = ":" if mark == "---" else " ="
    source = "".join(f"{key}{between} {value}\n" for key, value in lines)
    assert kept(f"{mark}\n{source}{mark}\n{body}".encode()).kblock.content.endswith(body)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused_by_name(raw):
    with tempfile.TemporaryDirectory() as folder:
        vault = write(Path(folder) / "v", {NAME: raw, "2020-01-01.md": "Text"})
        first, second = list(Vault(vault, drafts=True))
    assert isinstance(second, ImportItem)
    assert isinstance(first, ImportItem) or (
        isinstance(first, ImportFailure) and first.path == NAME
    )
