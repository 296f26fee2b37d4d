"""PostgreSQL cannot store U+0000, so no route takes it into a text that is stored."""

import re
from urllib.parse import quote

import pytest

from harken.config import Settings
from harken.protocols.api.app import create_app

DOCUMENT = create_app(Settings()).openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]

# These are compared with names that are known, or parsed, and not stored as they are.
COMPARED = {
    "DeclaredFilter.field", "DeclaredFilter.operator", "Candidates.half_life", "Arm.half_life",
    ".feeds", "TrialRequest.feeds", ".control", ".metric", "Guardrail.metric",
    "KeyRequest.origins", "KeyRequest.expires", ".targetingKey",
}  # fmt: skip
LIMITED = {"pattern", "enum", "const", "format"}


def texts(schema, path=""):
    """Return the path of each text in a schema that may be any text."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return texts(SCHEMAS[name], name)
    found = {path} if schema.get("type") == "string" and not LIMITED & schema.keys() else set()
    for each in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        found |= texts(each, path)
    for name, each in schema.get("properties", {}).items():
        found |= texts(each, f"{path if path[:1].isupper() else ''}.{name}")
    return found | (texts(schema["items"], path) if "items" in schema else set())


def operations():
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_stored_text_of_a_body_excludes_what_no_database_can_store():
    found = set()
    for _path, _method, operation in operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            found |= texts(content["schema"])
    assert found == COMPARED


@pytest.mark.parametrize("text", ["a\u0000b", "\ud800"])
async def test_any_text_in_a_path_or_a_query_is_answered(client, text):
    sent = quote(text, errors="surrogatepass")
    for path, method, operation in operations():
        url = re.sub(r"{\w+}", sent, path)
        whole = re.sub(r"{\w+}", "x", path)
        queries = [
            each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
        ]
        for each in [url, *(f"{whole}?{name}={sent}" for name in queries)]:
            answer = await client.request(method, each, json={})
            assert answer.status_code < 500, (method, each, answer.text)


@pytest.mark.parametrize("address", ["integrity/alerts/x/dismissal", "integrity/quarantines"])
async def test_a_reason_with_what_no_database_can_store_is_refused(client, address):
    body = {"note": "a\u0000"} if "alerts" in address else {"target": "reader", "ids": ["u"]}
    body |= {} if "note" in body else {"reason": "a\u0000"}
    answer = await client.post(f"/api/{address}", json=body)
    assert answer.status_code == 422
    assert "must not contain \\u0000" in answer.json()["detail"]
