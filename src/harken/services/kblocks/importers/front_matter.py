"""Front matter of notes: YAML, TOML or JSON, and properties of Logseq and Dataview."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import yaml

from harken.errors import InvalidInput, Problem

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
KNOWN = frozenset((
    "title", "id", "tags", "tag", "categories", "category", "principles", "layer", "galoisloss",
    "confidence", "author", "authors", "by", "contradicts", "created", "createdat", "date",
    "datecreated", "createddate", "creationdate", "firstseen", "publishdate", "published",
    "publishedat", "pubdate", "draft", "aliases", "alias",
))  # fmt: skip
"""Known keys in the form of `plain_key`; they distinguish front matter from prose."""

# This loader makes only text, lists and dictionaries. It makes no objects, and does not turn a tag
# `no` into false or a title `1.10` into 1.1.
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_LINE_END = r"[ \t]*(?:\r\n|\r|\n)"
_BEGINNING = re.compile(rf"(---|\+\+\+|;;;){_LINE_END}")
_ENDS = {
    mark: re.compile(rf"(?:\A|(?<=[\r\n])){end}[ \t]*(?:\r\n|\r|\n|\Z)")
    for mark, end in {"---": r"(?:---|\.\.\.)", "+++": r"\+\+\+", ";;;": ";;;"}.items()
}
_JSON = re.compile(r"\{\s*[\"}]")
_MAX_TOML_DOTS = 500
_YAML_LINE = re.compile(r"([^\W\d][\w -]{0,60}?)[ \t]*:(?:[ \t]+(.*))?")
_LINES = {"---": _YAML_LINE, "+++": re.compile(r"([^\W\d][\w-]{0,60})[ \t]*=[ \t]*(.*)")}
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)")
# Tags that begin with `#`, which YAML reads as comments.
_HASHED = re.compile(
    r"^([ \t]*-[ \t]+|(?:tags?|categor(?:y|ies)|principles)[ \t]*:[ \t]+)"
    r"(#[^\s#](?:.*[^ \t\r\n])?)[ \t\r]*$",
    re.MULTILINE | re.IGNORECASE,
)
_ITEM_BELOW = re.compile(r"\r?\n[ \t]*-[ \t]")
_BLOCKS = ("|", ">", "|-", ">-", "|+", ">+")  # indicators of text of several lines
_PROPERTY = re.compile(r"(?:[-*][ \t]+)?([A-Za-z][\w-]{0,60}(?: [\w-]{1,60})?)::(?:[ \t]+(.*))?")
_INLINE_DATE = re.compile(
    r"^(?:[-*][ \t]+)?(created|created_at|date|date created)::[ \t]+(\S[^\r\n]{0,100})$",
    re.MULTILINE | re.IGNORECASE,
)
_MAX_PROPERTIES = 100


class FrontMatter(NamedTuple):
    """The values of a front matter by key, the content of the note, and remarks about problems."""

    values: dict[str, Any]
    content: str
    remarks: list[Problem]


def plain_key(key: str) -> str:
    """Return a key without spaces, `_`, `-` and case: `Date created` equals `date_created`."""
    return re.sub(r"[\s_-]", "", key).casefold()


def split_front_matter(text: str) -> FrontMatter:
    """Split a note into its front matter, which may be empty, and its content.

    Never fails: problems become remarks, and front matter that cannot be read at all stays in the
    content.
    """
    beginning = _BEGINNING.match(text)
    if beginning is None:
        return _with_properties(_from_json(text) if text.startswith("{") else _begun_late(text))
    end = _ENDS[beginning[1]].search(text, beginning.end())
    if end is None:
        return _with_properties(_endless(text, beginning))
    source, content = text[beginning.end() : end.start()], text[end.end() :]
    try:
        values, remarks = _read(beginning[1], source)
    except InvalidInput as error:
        values = _by_lines(source, _LINES.get(beginning[1], _YAML_LINE))
        if not _known(values):
            return _with_properties(_unread(text, source, error))
        remarks = [_problem(error, "it was read line by line")]
    if source.strip() and _is_prose(values, source):
        return _with_properties(_bare(text))
    return _with_properties(FrontMatter(values, content, remarks))


def _bare(text: str) -> FrontMatter:
    return FrontMatter({}, text, [])


def _begun_late(text: str) -> FrontMatter:
    """Return a note without front matter, with a remark if one follows after empty lines."""
    late = text[:200].lstrip()
    beginning = _BEGINNING.match(late) if text[:1].isspace() else None
    line = _YAML_LINE.match(late, beginning.end()) if beginning else None
    if line is None or not _known({line[1]: None}):
        return _bare(text)
    wrong = "comes after an empty line, and is kept as text; remove that line"
    return FrontMatter({}, text, [Problem("front matter", wrong)])


def _known(values: dict[str, Any]) -> bool:
    return any(plain_key(key) in KNOWN for key in values)


def _is_prose(values: dict[str, Any], source: str) -> bool:
    """Whether this is text between two rules: it begins with an empty line, without known keys."""
    return source[:1] in {"\n", "\r"} and not _known(values)


def _endless(text: str, beginning: re.Match[str]) -> FrontMatter:
    first = text[beginning.end() : beginning.end() + 200].splitlines()[:1]
    if beginning[1] == "---" and not (first and _YAML_LINE.fullmatch(first[0])):
        return _bare(text)  # the dashes are a rule, not front matter
    wrong = f"has no end, and is kept as text; close it with a line of {beginning[1]!r}"
    return FrontMatter({}, text, [Problem("front matter", wrong)])


def _unread(text: str, source: str, error: InvalidInput) -> FrontMatter:
    is_rule = source[:1] in {"\n", "\r"}
    return FrontMatter({}, text, [] if is_rule else [_problem(error, "it is kept as text")])


def _problem(error: InvalidInput, then: str) -> Problem:
    return Problem("front matter", f"{error}; {then}")


def _read(mark: str, source: str) -> tuple[dict[str, Any], list[Problem]]:
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _wrong(f"takes more than {MAX_BYTES} bytes; at most these are read")
    reader: Callable[[str], tuple[Any, list[str]]] = {
        "---": _yaml, "+++": _toml, ";;;": _json,
    }[mark]  # fmt: skip
    loaded, twice = reader(source)
    if loaded is None or loaded == "":
        return {}, []
    if not isinstance(loaded, dict):
        raise _wrong(
            "must be lines such as `title: A note`; if the dashes are a rule, begin the note with "
            "an empty line"
        )
    values = {key: value for key, value in loaded.items() if isinstance(key, str)}
    return values, _repeated(twice)


def _repeated(keys: list[str]) -> list[Problem]:
    return [
        Problem("front matter", f"{key[:60]!r} occurs twice; the last one counts") for key in keys
    ]


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(Problem("", message))


def _yaml(source: str) -> tuple[Any, list[str]]:
    quoted = _HASHED.sub(_quote, source) if "#" in source else source
    try:
        twice = _check_yaml(quoted)
        # This loader makes only texts, lists and mappings.
        return yaml.load(quoted, Loader=_Loader), twice  # nosec B506 # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _wrong(_explain(error)) from None


def _quote(hashed: re.Match[str]) -> str:
    if not hashed[1].lstrip().startswith("-") and _ITEM_BELOW.match(hashed.string, hashed.end()):
        return hashed[0]  # a comment above a list
    return f"{hashed[1]}{json.dumps(hashed[2], ensure_ascii=False)}"


def _check_yaml(source: str) -> list[str]:
    """Return the keys that occur twice; raises InvalidInput for deep nesting.

    The loader is recursive, and deep nesting would crash the process.
    """
    depth = 0
    is_key = True
    keys: list[str] = []
    for event in yaml.parse(source, Loader=_Loader):
        if depth == 1 and isinstance(event, yaml.NodeEvent):
            if is_key and isinstance(event, yaml.ScalarEvent):
                keys.append(event.value)
            is_key = not is_key
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _wrong(f"nests deeper than {MAX_DEPTH} levels")
    return _twice(keys)


def _explain(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "too deep"
    mark = getattr(error, "problem_mark", None)
    line = f" in line {mark.line + 2}" if mark else ""  # 1 for the dashes, 1 to count from 1
    return (
        f"is not YAML: {problem}{line}; write lines such as `title: A note`, and put quotes around "
        "a value that has a colon or brackets"
    )


def _toml(source: str) -> tuple[Any, list[str]]:
    # The parser's time grows with the square of the depth of a dotted key.
    if any(line.count(".") > _MAX_TOML_DOTS for line in source.splitlines()):
        raise _wrong(f"has a line of more than {_MAX_TOML_DOTS} dots")
    try:
        return tomllib.loads(source.replace("\r\n", "\n").replace("\r", "\n")), []
    except (ValueError, RecursionError) as error:
        raise _wrong(f"is not TOML: {_shortly(error)}") from None


def _json(source: str) -> tuple[Any, list[str]]:
    plain = source.strip()
    try:
        return _decode(plain if plain.startswith("{") else f"{{{plain.rstrip(',')}}}", whole=True)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"is not JSON: {_shortly(error)}") from None


def _from_json(text: str) -> FrontMatter:
    """Read a note that begins with a JSON object, if that has a known key."""
    if not _JSON.match(text):
        return _bare(text)
    try:
        (values, twice), end = _decode_first(text)
    except (ValueError, RecursionError):
        return _bare(text)
    ends = re.compile(r"[ \t]*(?:\r\n|\r|\n|\Z)").match(text, end)
    if ends is None or end > MAX_BYTES or not _known(values):
        return _bare(text)
    return FrontMatter(values, text[ends.end() :], _repeated(twice))


def _decode(text: str, *, whole: bool) -> tuple[Any, list[str]]:
    pairs, end = _decode_first(text)
    if whole and text[end:].strip():
        raise ValueError("something follows the object")
    return pairs


def _decode_first(text: str) -> tuple[tuple[dict[str, Any], list[str]], int]:
    last: list[list[tuple[str, Any]]] = [[]]

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        last[0] = found  # the outermost object is finished last
        return dict(found)

    value, end = json.JSONDecoder(object_pairs_hook=pairs).raw_decode(text[: MAX_BYTES + 1])
    return (value, _twice(key for key, _ in last[0])), end


def _twice(keys: Iterable[str]) -> list[str]:
    return [key for key, times in Counter(keys).items() if times > 1]


def _shortly(error: Exception) -> str:
    return "too deep" if isinstance(error, RecursionError) else str(error)[:100]


def _by_lines(source: str, shape: re.Pattern[str]) -> dict[str, Any]:
    """Read lines such as `key: value` and `- item` of front matter that cannot be parsed."""
    values: dict[str, Any] = {}
    key: str | None = None
    for line in source.splitlines() if len(source) <= MAX_BYTES else ():
        if found := shape.fullmatch(line):
            key = found[1]
            values[key] = _scalar(found[2] or "")
        elif (item := _ITEM.fullmatch(line)) and key is not None:
            if not isinstance(values[key], list):
                values[key] = [values[key]] if values[key] else []
            values[key].append(_unquoted(item[1]))
    return values


def _scalar(text: str) -> str | list[str]:
    plain = text.strip()
    if len(plain) > 1 and plain[0] == "[" and plain[-1] == "]" and not plain.startswith("[["):
        return [_unquoted(each) for each in plain[1:-1].split(",")]
    return "" if plain in _BLOCKS else _unquoted(plain)


def _unquoted(text: str) -> str:
    plain = text.strip()
    is_quoted = len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'"
    return plain[1:-1] if is_quoted else plain


def _with_properties(found: FrontMatter) -> FrontMatter:
    """Add the properties of Logseq and Dataview, `key:: value`; they stay in the text."""
    if "::" not in found.content:
        return found
    own: dict[str, Any] = {}
    for line in found.content[:MAX_BYTES].lstrip().splitlines()[:_MAX_PROPERTIES]:
        if (match := _PROPERTY.fullmatch(line.rstrip())) is None:
            break
        own.setdefault(match[1].strip(), _unquoted(match[2] or ""))
    if not own and (inline := _INLINE_DATE.search(found.content)):
        own[f"{inline[1]}::"] = inline[2]
    if not (_known(own) or any(key.endswith("::") for key in own)):
        return found
    given = {key.lower() for key in found.values}
    own = {key: value for key, value in own.items() if key.lower() not in given}
    return found._replace(values=found.values | own)
