"""Write the types of the Python client, from the OpenAPI document of the service.

python clients/python/scripts/shapes.py > clients/python/src/harken_client/shapes.py
"""

import sys
from collections.abc import Mapping
from typing import Any

from harken.config import Settings
from harken.protocols.api.app import create_app

SCHEMAS = {
    "Interaction": "Event",
    "Recording": "Recorded",
    "BatchRecording": "BatchResult",
    "FeedPageShape": "FeedPage",
    "RankedShape": "Ranked",
    "KBlock": "KBlock",
    "KBlockShape": "StoredKBlock",
    "KBlockChange": "KBlockChange",
    "KBlockBatchChange": "KBlockBatchChange",
    "SimilarShape": "Similar",
    "FoundShape": "Found",
    "CommentShape": "Comment",
    "CommentsShape": "Comments",
    "Changed": "Marked",
    "CountsShape": "Unread",
    "LoggedEvent": "LoggedEvent",
    "LoggedEvents": "LoggedEvents",
    "Candidates": "Candidates",
}
"""The schemas that the client needs, and the names of their types."""
PARAMETERS = {
    "PageOptions": "/api/feed/feeds/{feed_id}",
    "SearchOptions": "/api/kblocks/search",
}
"""Query parameters of routes, and the names of their types."""
LEFT_OUT = {"q", "cursor", "kblock_ids"}
SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Writer:
    """Writes the schemas of a document as `TypedDict`s, each after those that it names."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas = document["components"]["schemas"]
        self._written: dict[str, str] = {}

    def source(self) -> str:
        """Return the source of the module."""
        for name in SCHEMAS:
            self._named(name)
        for name, path in PARAMETERS.items():
            given = self._document["paths"][path]["get"]["parameters"]
            queries = [each for each in given if each["in"] == "query"]
            fields = {each["name"]: each["schema"] for each in queries}
            kept = {each: fields[each] for each in fields if each not in LEFT_OUT}
            self._class(name, f"Query parameters of GET {path}.", kept, required=())
        options = self._schemas["Candidates"]["properties"]
        kept = {each: options[each] for each in options if each not in LEFT_OUT}
        self._class("RankOptions", "How candidates are ranked, and for whom.", kept, required=())
        return HEAD + "".join(self._written.values())

    def _named(self, schema: str) -> str:
        name = SCHEMAS.get(schema, schema.removesuffix("Shape"))
        if name not in self._written:
            found = self._schemas[schema]
            if "properties" not in found:
                return self.type_of(found)
            self._written[name] = ""
            doc = found.get("description", name).split("\n")[0]
            self._class(name, doc, found["properties"], found.get("required", ()))
        return name

    def _class(self, name: str, doc: str, fields: Mapping[str, Any], required: Any) -> None:
        lines = [f'class {name}(TypedDict):\n    """{doc}"""\n']
        for field, schema in fields.items():
            kind = self.type_of(schema)
            kind = kind if field in required else f"NotRequired[{kind}]"
            lines.append(f"    {field}: {kind}")
        self._written.pop(name, None)
        self._written[name] = "\n\n" + "\n".join(lines) + "\n"

    def type_of(self, schema: Mapping[str, Any]) -> str:
        """Return the annotation of a schema."""
        if "$ref" in schema:
            return self._named(schema["$ref"].rpartition("/")[2])
        if "enum" in schema:
            return f"Literal[{', '.join(f'{each!r}' for each in schema['enum'])}]"
        if several := schema.get("anyOf"):
            kinds = dict.fromkeys(map(self.type_of, several))
            return "Any" if "Any" in kinds else " | ".join(kinds)
        kind = schema.get("type")
        if kind == "array":
            return f"list[{self.type_of(schema.get('items', {}))}]"
        if kind == "object" and "properties" not in schema:
            more = schema.get("additionalProperties")
            return f"dict[str, {self.type_of(more) if isinstance(more, dict) else 'Any'}]"
        return SIMPLE.get(str(kind), "dict[str, Any]" if kind == "object" else "Any")


HEAD = '''"""The types of requests and answers.

Made by clients/python/scripts/shapes.py from the OpenAPI document of the service. Times are texts
of ISO 8601.
"""

from typing import Any, Literal, NotRequired, TypedDict
'''

if __name__ == "__main__":
    sys.stdout.write(Writer(create_app(Settings()).openapi()).source())
