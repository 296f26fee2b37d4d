"""Every text of a request body has a type that refuses what cannot be stored or answered."""

from collections.abc import Iterator
from typing import Any

from harken.config import Settings
from harken.protocols.api.app import create_app

Schema = dict[str, Any]

CHECKED = {"pattern", "enum", "const", "format"}
TYPED = CHECKED | {"type", "anyOf", "oneOf", "allOf", "$ref"}
# What code checks: values by their field, members one by one, JSON by `canonical_json`.
BY_CODE = {
    "Arm.value", "Batch.events", "DeclaredFilter.value", "DeclaredSource.value",
    "Interaction.metadata", "Interactions.interactions", "KBlockBatch.kblocks",
    "body.context.targetingKey",
}  # fmt: skip


def unchecked(schema: Schema, schemas: dict[str, Schema], where: str = "body") -> Iterator[str]:
    """Yield the texts below a schema that may be of any characters."""
    if "$ref" in schema:
        where = schema["$ref"].rpartition("/")[2]
        schema = schemas[where]
    is_text = schema.get("type") == "string" and not CHECKED & schema.keys()
    if is_text or not TYPED & schema.keys() or schema.get("additionalProperties") is True:
        yield where
    for name, each in schema.get("properties", {}).items():
        yield from unchecked(each, schemas, f"{where}.{name}")
    for each in _members(schema):
        yield from unchecked(each, schemas, where)


def _members(schema: Schema) -> list[Schema]:
    choices = [each for kind in ("anyOf", "oneOf", "allOf") for each in schema.get(kind, [])]
    of_all = [schema.get(kind) for kind in ("items", "additionalProperties")]
    return [*choices, *(each for each in of_all if isinstance(each, dict))]


def test_texts_of_bodies_are_checked():
    document = create_app(Settings()).openapi()
    found = {
        text
        for operations in document["paths"].values()
        for operation in operations.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for text in unchecked(content["schema"], document["components"]["schemas"])
    }
    assert found == BY_CODE
