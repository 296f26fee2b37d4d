"""Write the part of the service's OpenAPI document that the browser client speaks.

Only that part is kept, so that the client's types change when something of theirs does:

    python clients/typescript/scripts/openapi.py > clients/typescript/openapi.json
"""

import json
import re
import sys
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
    named: set[str] = set()
    _collect(paths, schemas, named)
    part = {
        "openapi": whole["openapi"],
        "info": {"title": whole["info"]["title"], "version": "0"},
        "paths": paths,
        "components": {"schemas": {name: schemas[name] for name in sorted(named)}},
    }
    return json.dumps(part, indent=2, ensure_ascii=False) + "\n"


def _collect(part: Any, schemas: dict[str, Any], named: set[str]) -> None:
    for name in SCHEMA.findall(json.dumps(part)):
        if name not in named:
            named.add(name)
            _collect(schemas[name], schemas, named)


if __name__ == "__main__":
    sys.stdout.buffer.write(document().encode())
