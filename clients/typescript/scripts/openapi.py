"""Write the parts of the OpenAPI document that the client or the pages use.

Other parts are left out, so that only relevant changes of the document change the types:

    python clients/typescript/scripts/openapi.py client > clients/typescript/openapi.json
    python clients/typescript/scripts/openapi.py pages > clients/typescript/pages/openapi.json
"""

import json
import re
import sys
from typing import Any

from harken.config import Settings
from harken.protocols.api.app import create_app

OPERATIONS = {
    "client": {
        "/api/feed/feedback/record": "post",
        "/api/feed/feedback/batch": "post",
        "/api/feed/dismissals/{kblock_id}": "delete",
        "/api/feed/feeds/{feed_id}": "get",
        "/api/feed/rank": "post",
        "/api/kblocks/search": "get",
    },
    "pages": {
        "/api/experiments": "get",
        "/api/experiments/{experiment_id}/power": "get",
        "/api/feed/analytics": "get",
        "/api/feed/analytics/dwell": "get",
        "/api/feed/analytics/extent": "get",
        "/api/feed/analytics/impressions": "get",
        "/api/feed/analytics/kblocks": "get",
        "/api/feed/analytics/kblocks/{kblock_id}": "get",
        "/api/feed/analytics/position": "get",
        "/api/feed/analytics/readers/{user_id}": "get",
        "/api/feed/analytics/timeseries": "get",
        "/api/feed/analytics/totals": "get",
        "/api/integrity/alerts": "get",
        "/api/integrity/quarantines": "get",
        "/api/integrity/quarantines/audit": "get",
        "/api/kblocks/{kblock_id}": "get",
        "/api/models": "get",
        "/api/models/rollback": "post",
        "/api/models/{model_id}/trial": "post",
        "/api/report": "get",
        "/api/users/{user_id}/preferences": "get",
    },
}
SCHEMA = re.compile(r'"#/components/schemas/(\w+)"')


def document(operations: dict[str, str]) -> str:
    """Return the OpenAPI document of some operations, as JSON text."""
    whole = create_app(Settings()).openapi()
    paths = {path: {verb: whole["paths"][path][verb]} for path, verb in operations.items()}
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
    sys.stdout.buffer.write(document(OPERATIONS[sys.argv[1]]).encode())
