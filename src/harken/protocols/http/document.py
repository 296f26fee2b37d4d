"""The OpenAPI document: what the routes say of themselves, and what stands before them all."""

from typing import Any

from harken.protocols.http.errors import PROBLEM_SCHEMA, described
from harken.protocols.http.security import HEALTH

SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
ACCESS = described(401, 403)
_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def with_access_rules(document: dict[str, Any], *, has_keys: bool) -> dict[str, Any]:
    """Say which keys there are, and that each route but one may refuse who asks."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    # An empty requirement means that no key will do as well.
    document["security"] = [{name: []} for name in SCHEMES] + ([] if has_keys else [{}])
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path == HEALTH:
                operation["security"] = []
            else:
                answers = operation["responses"] | {str(each): ACCESS[each] for each in ACCESS}
                operation["responses"] = dict(sorted(answers.items()))
    named: dict[str, Any] = _with_name(document["paths"])
    return document | {"paths": named}


def _with_name(part: Any) -> Any:
    """Replace what describes a problem by the name of that description."""
    if part == PROBLEM_SCHEMA:
        return _PROBLEM
    if isinstance(part, dict):
        return {name: _with_name(member) for name, member in part.items()}
    return [_with_name(member) for member in part] if isinstance(part, list) else part
