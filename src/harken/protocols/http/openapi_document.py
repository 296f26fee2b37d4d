"""The OpenAPI document: security schemes and answers of the access rules."""

from typing import Any

from harken.protocols.http.errors import PROBLEM_SCHEMA, described
from harken.protocols.http.gate import TOKEN_HEADER
from harken.protocols.http.security import HEALTH

KEYS = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or the user token of a reader.",
    },
}
USER_TOKEN = {
    "type": "apiKey",
    "in": "header",
    "name": TOKEN_HEADER,
    "description": "A JSON Web Token that says who the reader is, beside a key.",
}
SCHEMES = KEYS | {"UserToken": USER_TOKEN}
ACCESS = described(401, 403, 429)
_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def with_access_rules(document: dict[str, Any], *, has_keys: bool) -> dict[str, Any]:
    """Add the security schemes, and the answers of the access rules to every route but /healthz."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    # An empty requirement means that a request without a key is accepted, too.
    document["security"] = (
        [{name: []} for name in KEYS]
        + [{name: [], "UserToken": []} for name in KEYS]
        + ([] if has_keys else [{}])
    )
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path == HEALTH:
                operation["security"] = []
            else:
                answers = operation["responses"] | {str(each): ACCESS[each] for each in ACCESS}
                operation["responses"] = dict(sorted(answers.items()))
    named: dict[str, Any] = _with_references(document["paths"])
    return document | {"paths": named}


def _with_references(part: Any) -> Any:
    """Replace each inline schema of a problem document by a reference to the named one."""
    if part == PROBLEM_SCHEMA:
        return _PROBLEM
    if isinstance(part, dict):
        return {name: _with_references(member) for name, member in part.items()}
    return [_with_references(member) for member in part] if isinstance(part, list) else part
