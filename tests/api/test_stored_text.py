"""Texts that no database can store, or no answer can hold: U+0000 and lone surrogates."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from harken.config import Settings
from harken.protocols.api.app import create_app

DOCUMENT = create_app(Settings()).openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]

Schema = dict[str, Any]

CHECKED = {"pattern", "enum", "const", "format"}
TYPED = CHECKED | {"type", "anyOf", "oneOf", "allOf", "$ref"}
# What code checks: values by their field, members one by one, JSON by `canonical_json`.
BY_CODE = {
    "Arm.value", "Batch.events", "DeclaredFilter.value", "DeclaredSource.value",
    "Interaction.metadata", "Interactions.interactions", "KBlockBatch.kblocks",
    "body.context.targetingKey",
}  # fmt: skip


def unchecked(schema: Schema, where: str = "body") -> Iterator[str]:
    """Yield the texts below a schema that may be of any characters."""
    if "$ref" in schema:
        where = schema["$ref"].rpartition("/")[2]
        schema = SCHEMAS[where]
    is_text = schema.get("type") == "string" and not CHECKED & schema.keys()
    if is_text or not TYPED & schema.keys() or schema.get("additionalProperties") is True:
        yield where
    for name, each in schema.get("properties", {}).items():
        yield from unchecked(each, f"{where}.{name}")
    for each in _members(schema):
        yield from unchecked(each, where)


def _members(schema: Schema) -> list[Schema]:
    choices = [each for kind in ("anyOf", "oneOf", "allOf") for each in schema.get(kind, [])]
    of_all = [schema.get(kind) for kind in ("items", "additionalProperties")]
    return [*choices, *(each for each in of_all if isinstance(each, dict))]


def operations():
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_text_of_a_body_excludes_what_cannot_be_stored_or_answered():
    found = set()
    for _path, _method, operation in operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            found |= set(unchecked(content["schema"]))
    assert found == BY_CODE


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
