"""The JSON schemas of the A2A protocol, from a folder beside the checkout (../shared/a2a)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource

SHARED = Path(__file__).resolve().parents[3] / "shared" / "a2a"


@cache
def _v1() -> tuple[dict[str, Any], Registry[Any]]:
    definitions = json.loads((SHARED / "a2a-v1.0.schema.json").read_text())["definitions"]
    named = {name.replace(" ", ""): schema for name, schema in definitions.items()}
    resources = []
    for name, schema in named.items():
        package = "google.protobuf" if name in ("Struct", "Timestamp", "Value") else "lf.a2a.v1"
        resources.append((f"{package}.{name}.jsonschema.json", Resource.from_contents(schema)))
    registry: Registry[Any] = Registry().with_resources(resources)
    return named, registry


@cache
def _v03() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SHARED / "a2a-v0.3.schema.json").read_text())
    return schema


def check_v1(name: str, value: Any) -> None:
    """Raises ValidationError if the value does not match; the schema allows no unknown field and requires none."""
    named, registry = _v1()
    Draft202012Validator(named[name], registry=registry).validate(value)


def check_v03(name: str, value: Any) -> None:
    Draft7Validator({**_v03(), "$ref": f"#/definitions/{name}"}).validate(value)
