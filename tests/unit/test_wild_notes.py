"""Notes as people and their tools write them: no field refuses a note, and no text is lost."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harken.domain.kblock import KBlock
from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import ImportItem
from tests.unit.test_markdown import write


def noted(tmp_path: Path, content: str | bytes, name: str = "note.md") -> tuple[KBlock, list[str]]:
    """Return the only note of a vault, which must be kept, and its remarks."""
    [unit] = list(Vault(write(tmp_path / "vault", {name: content})))
    assert isinstance(unit, ImportItem), unit
    return unit.kblock, [str(problem) for problem in unit.remarks]


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "author"),
    [
        ("author:\n  - '[[Jane Doe]]'", "Jane Doe"),
        ("author: [Jane Doe, John Roe]", "Jane Doe"),
        ("author: [[Jane Doe]]", "Jane Doe"),
        ("author: '[[Jane Doe|Jane]]'", "Jane Doe"),
        ("author: [[Jane Doe|Jane]]", "Jane Doe"),
        ("author: '[[people/Jane Doe#about]]'", "Jane Doe"),
        ("author: '[Jane Doe](https://example.org/jane)'", "Jane Doe"),
        ("author: {name: Jane Doe, email: j@example.org}", "Jane Doe"),
        ("author:\n  - name: Jane Doe\n  - name: John Roe", "Jane Doe"),
        ("authors:\n  - Jane Doe\n  - John Roe", "Jane Doe"),
        ("by: Jane Doe", "Jane Doe"),
        ("Author: Jane Doe", "Jane Doe"),
        ("author: [null, Jane Doe]", "Jane Doe"),
        ("author: []\nby: Jane Doe", "Jane Doe"),
        ("author: Doe, Jane", "Doe, Jane"),
        ("author: 42", "42"),
        ("author: null", None),
        ("author: ''", None),
        ("author: []", None),
    ],
)
def test_authors(tmp_path, written, author):
    kblock, remarks = noted(tmp_path, f"---\n{written}\n---\nText\n")
    assert (kblock.author, kblock.content, remarks) == (author, "Text\n", [])


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("tags: alpha beta gamma", ("alpha", "beta", "gamma")),
        ("tags: one thing, another", ("one thing", "another")),
        ("tags: a,b , c,", ("a", "b", "c")),
        ("tags: #alpha #beta", ("alpha", "beta")),
        ("tags: '#a #b'", ("a", "b")),
        ("tags: '#a, #b'", ("a", "b")),
        ("tags: [#alpha, #beta]", ("alpha", "beta")),
        ("tags:\n  - #alpha\n  - '#beta'\n  - gamma # why", ("alpha", "beta", "gamma")),
        ("tags: # of the note\n  - alpha", ("alpha",)),
        ("tags: #todo\n  - alpha", ("alpha",)),
        ("tags:\n\t- alpha\n\t- beta", ("alpha", "beta")),
        ("tags:\n- alpha\n- two words", ("alpha", "two words")),
        ("tags:\n  - project/alpha\n  - \n  - null\n  - ~", ("project/alpha",)),
        ("tags: [[a, b], [c, [d]]]", ("a", "b", "c", "d")),
        ("tags: [yes, 2023, 1.10, true]", ("yes", "2023", "1.10", "true")),
        ("tags: [Alpha, alpha, ALPHA, b]", ("Alpha", "b")),
        ("tags: [größe, 日本, 🎉👩‍💻]", ("größe", "日本", "🎉👩‍💻")),
        ("tag: alpha", ("alpha",)),
        ("tag: machine learning", ("machine learning",)),
        ("tag: alpha\ncategories: [x, y]", ("alpha", "x", "y")),
        ("Tags: [a]\ncategory: News\ncategories: x y", ("a", "x", "y", "News")),
        ("tags: ['[[alpha]]', '[[b c|d]]', '##e']", ("alpha", "b c", "e")),
        ("taxonomies: {tags: [a], categories: [b]}", ("a", "b")),
        ("taxonomies: [a]", ()),
        ("tags: null", ()),
        ("tags:", ()),
        ("tags: []", ()),
        ('tags: ["a\\tb\\u0007c"]', ("a bc",)),
    ],
)
def test_tags(tmp_path, written, tags):
    kblock, remarks = noted(tmp_path, f"---\ntitle: Tagged\n{written}\n---\n#not-a-tag\n")
    assert (kblock.tags, kblock.title, kblock.content) == (tags, "Tagged", "#not-a-tag\n")
    assert all(remark.startswith("front matter: is not YAML") for remark in remarks)


LONG = "x" * 70
TIME = "must be a time such as 2025-12-25 or 2025-12-25T10:30:00Z"


@pytest.mark.parametrize(
    ("written", "remark", "kept"),
    [
        ("layer: 9", "layer: must be a whole number from 0 to 7, not '9'", {"layer": None}),
        ("layer: top", "layer: must be a whole number from 0 to 7, not 'top'", {"layer": None}),
        ("galois_loss: .nan", "galois_loss: must be a number from 0 to 1000000, not '.nan'", {}),
        ("galois_loss: nan", "galois_loss: must be a number from 0 to 1000000, not 'nan'", {}),
        ("galois_loss: 1e7", "galois_loss: must be a number from 0 to 1000000, not '1e7'", {}),
        ("galois_loss: -1", "galois_loss: must be a number", {"galois_loss": None}),
        ("confidence: 2", "confidence: must be a number from 0 to 1, not '2'", {}),
        ("title: {a: b}", "title: must be text, not a mapping", {"title": "note"}),
        ("title: [a, b]", "title: must be text, not a list of 2", {"title": "note"}),
        ("title: " + "x" * 600, "title: is cut to 500 characters", {"title": "x" * 499 + "…"}),
        ("title: '{{title}}'", "title: is a template that was not filled in", {"title": "note"}),
        ("author: {email: a}", "author: must be a name, or a list of names, not a mapping", {}),
        (f"author: {LONG}", "author: must have at most 64 characters", {"author": "x" * 64}),
        ("tags: {a: b}", "tags: must be a list of words, or words with commas", {"tags": ()}),
        ("tags: [a, {b: c}]", "tags: must be a list of words", {"tags": ("a",)}),
        (f"tags: [{LONG}, a]", "tags: must have at most 64 characters", {"tags": ("x" * 64, "a")}),
        ("tags: [" + ",".join(map(str, range(65))) + "]", "tags: has 65 items; the first 64", {}),
        ("tags: [[[[[[a]]]]]]", "tags: must be a list of words", {"tags": ()}),
        ("principles: {a: b}", "principles: must be a list of words", {"principles": ()}),
        ("contradicts: {a: b}", "contradicts: must be one id, path or name", {"edges": ()}),
        (f"contradicts: {LONG}", "contradicts: 'xxx", {"edges": ()}),
        (f"id: {LONG}", "id: must be text of at most 64 characters, not", {}),
        ('id: "a\\nb"', "id: must be text of at most 64 characters, not", {}),
        ('id: "a\\0b"', "id: must be text of at most 64 characters, not", {}),
        ('id: "a\\e[1mb"', "id: must be text of at most 64 characters, not", {}),
        ("id: ..", "id: must be text of at most 64 characters, not", {}),
        ("id: [a]", "id: must be text of at most 64 characters, not", {}),
        ("draft: perhaps", "draft: must be true or false, not 'perhaps'", {}),
        ("firstSeen: soon", "firstSeen: must be a time such as 2025-12-25", {}),
        ("created_at: [2025]", "created_at: must be a time such as 2025-12-25", {}),
        ("date: {a: b}", "date: must be a time such as 2025-12-25", {}),
        ("date: 01/02/2023", "date: could be two days; write it as year-month-day", {}),
        ("date: 2019-02-30", "date: is not an existing day and time, not '2019-02-30'", {}),
        ("date: 0001-01-01T00:00:00Z", "date: is a zero time, which means no date", {}),
        ("date: 1970-01-01T00:00:00Z", "date: is a zero time, which means no date", {}),
        ("date: 9999-12-31", "date: must be in the years 1000 to 2999", {}),
        ("date: <% tp.date.now() %>", "date: is a template that was not filled in", {}),
        ("title: T\ntitle: note", "front matter: 'title' occurs twice", {"title": "note"}),
        (f"date: {'y' * 200}", f"date: {TIME}, not '{'y' * 100}'…", {}),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_taken_is_remarked(tmp_path, written, remark, kept):
    plain, _ = noted(tmp_path, "Text\n")
    kblock, remarks = noted(tmp_path, f"---\n{written}\n---\nText\n")
    assert [each[: len(remark)] for each in remarks] == [remark]
    assert kblock.content == "Text\n"
    assert kblock.id == plain.id
    assert {name: getattr(kblock, name) for name in kept} == kept


def test_the_first_date_that_can_be_read_counts(tmp_path):
    kblock, remarks = noted(tmp_path, "---\ncreated: soon\ndate: 2020-01-01\n---\n")
    assert kblock.created_at == at(2020, 1, 1)
    assert len(remarks) == 1


@pytest.mark.parametrize(
    ("content", "title", "remark"),
    [
        ("---\ntitle: a: b\ntags: [x]\n---\nText\n", "a: b", "is not YAML: mapping values"),
        ("---\ntitle: *starred*\ntags: [x]\n---\nText\n", "*starred*", "is not YAML"),
        ("---\ntitle: @me\ntags: [x]\n---\nText\n", "@me", "is not YAML"),
        ("---\ntitle: %s\ntags: x\n---\nText\n", "%s", "is not YAML"),
        ("---\ntitle: 'open\ntags: x\n---\nText\n", "'open", "is not YAML"),
        ("---\ntitle: a\x07b\ntags: x\n---\nText\n", "ab", "is not YAML"),
        ("---\ndate: {{date}}\ntitle: T\ntags: x\n---\nText\n", "T", "is not YAML"),
        ("---\ntags: [x]\ntitle: T\nx: " + "[" * 30_000 + "\n---\nText\n", "T", "nests deeper"),
        ("---\ntags: [x]\ntitle: T\na: &a [*a]\n---\nText\n", "T", "is not YAML"),
        ("+++\ntitle = \"T\"\ntags = ['x']\nx = \n+++\nText\n", "T", "is not TOML"),
        ("+++\ntitle = 'T'\ntags = ['x']\na" + ".a" * 9_000 + "=1\n+++\nText\n", "T", "has a line"),
    ],
)
def test_broken_front_matter_is_read_line_by_line(tmp_path, content, title, remark):
    kblock, remarks = noted(tmp_path, content)
    assert (kblock.title, kblock.tags, kblock.content) == (title, ("x",), "Text\n")
    assert remarks[0].startswith(f"front matter: {remark}")
    assert remarks[0].endswith("it was read line by line")


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("---\na: [\n---\nText\n", "is not YAML"),
        ("---\njust text\n---\nText\n", "must be lines such as `title: A note`"),
        ("---\n" + "a: b\n" * 20_000 + "---\nText\n", "takes more than 65536 bytes"),
        ("---\ntitle: No end\n\nText\n", "has no end, and is kept as text"),
        ("+++\ntitle = 'No end'\n", "has no end, and is kept as text"),
        ("\n---\ntitle: Late\n---\nText\n", "comes after an empty line, and is kept as text"),
        (";;;\n[1]\n;;;\nText\n", "is not JSON"),
    ],
)
def test_front_matter_that_says_nothing_is_kept_as_text(tmp_path, content, remark):
    kblock, remarks = noted(tmp_path, content)
    assert kblock.content == content
    assert [each[: len(remark) + 14] for each in remarks] == [f"front matter: {remark}"]


@pytest.mark.parametrize(
    "content",
    [
        "", "\n", "----\ntitle: Four\n----\nBody\n", "---", "---\n", "---\ntext", "+++", "{",
        "---\n\nA note that starts with a rule\n\n---\n\nmore\n",
        "---\n\nProse: with colons: twice\n\n---\nmore", "---\n\nProse: with one\n\n---\nmore",
        "{% include x %}\n", "{{< figure >}}\n", '{"a": 1}\n', '{"title": "T"', '{"title": 1} more',
        "{" * 50_000, '{"a":' * 50_000, "std::cout << 1;\n", "key:: value\n",
    ],
)  # fmt: skip
def test_what_is_no_front_matter_is_text(tmp_path, content):
    kblock, remarks = noted(tmp_path, content)
    assert (kblock.content, remarks) == (content, [])


@pytest.mark.parametrize(
    "content",
    [
        "---\ntitle: T\ntags: [a, b]\ndate: 2023-01-02\n---\nText\n",
        "---\r\ntitle: T\r\ntags: [a, b]\r\ndate: 2023-01-02\r\n---\r\nText\n",
        "---\rtitle: T\rtags: [a, b]\rdate: 2023-01-02\r---\rText\n",
        "--- \ntitle: T\ntags: [a, b]\ndate: 2023-01-02\n...\nText\n",
        "+++\ntitle = 'T'\ntags = ['a', 'b']\ndate = 2023-01-02\n+++\nText\n",
        "+++\ntitle = 'T'\ntags = ['a', 'b']\ndate = 2023-01-02T00:00:00Z\n+++\nText\n",
        "+++\r\ntitle = 'T'\r\ntags = ['a', 'b']\r\ndate = 2023-01-02T00:00:00\r\n+++\r\nText\n",
        '{\n "title": "T", "tags": ["a", "b"],\n "date": "2023-01-02"\n}\nText\n',
        '{"title": "T", "tags": ["a", "b"], "date": 1672617600}\nText\n',
        ';;;\n{"title": "T", "tags": ["a", "b"], "date": "2023-01-02"}\n;;;\nText\n',
        ';;;\n"title": "T",\n"tags": ["a", "b"],\n"date": "2023-01-02",\n;;;\nText\n',
        "---\ntitle: >\n  T\ntags: a,b\nDate Created: 2023-01-02\n---\nText\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_formats_of_front_matter(tmp_path, content, encoding):
    kblock, remarks = noted(tmp_path, content.encode(encoding))
    assert (kblock.title, kblock.tags, kblock.created_at) == ("T", ("a", "b"), at(2023, 1, 2))
    assert (kblock.content, remarks) == ("Text\n", [])


def test_properties_of_logseq_and_dataview(tmp_path):
    content = "title:: T\ntags:: a, b\ncreated:: 2020-01-01\n\n- title:: not this\n"
    kblock, _ = noted(tmp_path, content)
    assert (kblock.title, kblock.tags, kblock.created_at) == ("T", ("a", "b"), at(2020, 1, 1))
    assert kblock.content == content
    kblock, remarks = noted(tmp_path, "Text\n\ncreated:: 2020-01-01\n\ntags:: no\n")
    assert (kblock.created_at, kblock.tags, remarks) == (at(2020, 1, 1), (), [])
    kblock, remarks = noted(tmp_path, "---\ntitle: A\n---\ntitle:: B\ndate:: unknown::\n")
    assert (kblock.title, remarks) == ("A", [f"date: {TIME}, not 'unknown::'"])


@pytest.mark.parametrize(
    ("raw", "content", "remark"),
    [
        (
            b"Caf\xe9 \x93quoted\x94",
            "Café “quoted”",
            "is not UTF-8 at byte 3; read as Windows-1252",
        ),
        ("é and ".encode() + b"\xe9", "é and é", "is not UTF-8 at byte 7; read as Windows-1252"),
        (b"a\0bc", "abc", "has 1 zero bytes, which are left out"),
    ],
)
def test_encodings(tmp_path, raw, content, remark):
    kblock, remarks = noted(tmp_path, raw)
    assert (kblock.content, remarks) == (content, [f"encoding: {remark}"])
