"""Write the part of the service's OpenAPI document that the browser client speaks.

Only that part is kept, so that the client's types change when something of theirs does:

    python clients/typescript/scripts/openapi.py > clients/typescript/openapi.json
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from harken.config import Settings
from harken.protocols.api.app import create_app

OPERATIONS = {
    "/api/feed/feedback/record": "post",
    "/api/feed/feedback/batch": "post",
    "/api/feed/dismissals/{kblock_id}": "delete",
}
SCHEMA = re.compile(r'"#/components/schemas/(\w+)"')


def document() -> str:
    """Return the document as JSON text."""
    whole = create_app(Settings()).openapi()
    paths = {path: {verb: whole["paths"][path][verb]} for path, verb in OPERATIONS.items()}
    schemas = whole["components"]["schemas"]
    part = {
        "openapi": whole["openapi"],
        "info": {"title": whole["info"]["title"], "version": "0"},
        "paths": paths,
        "components": {"schemas": {name: schemas[name] for name in sorted(_named(paths, schemas))}},
    }
    return json.dumps(part, indent=2, ensure_ascii=False) + "\n"


def _named(part: Any, schemas: dict[str, Any]) -> set[str]:
    return set(_walk(part, schemas, set()))


def _walk(part: Any, schemas: dict[str, Any], seen: set[str]) -> Iterator[str]:
    for name in SCHEMA.findall(json.dumps(part)):
        if name not in seen:
            seen.add(name)
            yield name
            yield from _walk(schemas[name], schemas, seen)


if __name__ == "__main__":
    sys.stdout.write(document())
