"""Generates the CustomResourceDefinition from the models.

pydantic produces JSON Schema 2020-12. The API server accepts only structural schemas and refuses `$ref`, `anyOf` with
null, `const` and exclusive bounds, so references are inlined and the rest is rewritten here.
"""

from typing import Any

from lambdaagent.api.agent import AgentSpec, AgentStatus
from lambdaagent.api.base import DNS_1035, GROUP, KIND, PLURAL, VERSION

_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Image", "string", ".spec.image.repository", 0),
    ("URL", "string", ".status.serviceStatus.url", 0),
    ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason", 1),
)


def crd() -> dict[str, Any]:
    """Return the whole CRD document. Every call returns the same, so a file can be compared with it."""
    schema = {
        "type": "object",
        "description": "An AI agent: its container, the events that it receives and emits, and its calls over A2A.",
        "required": ["spec"],
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('{DNS_1035}') && size(self.metadata.name) <= 63",
                "message": (
                    "metadata.name must be a DNS-1035 label: a-z, 0-9 and '-', beginning with a letter, at most 63"
                ),
            }
        ],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(AgentSpec.model_json_schema(by_alias=True)),
            "status": structural(AgentStatus.model_json_schema(by_alias=True), defaults=False),
        },
    }
    columns = [
        {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
        for name, kind, path, priority in _COLUMNS
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "lambdaagent",
                "shortNames": ["la", "lagent"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def structural(schema: dict[str, Any], *, defaults: bool = True) -> dict[str, Any]:
    """Convert a pydantic schema to the API server's form; without `defaults` for status, which users do not write."""
    definitions = schema.pop("$defs", {})
    rewritten: dict[str, Any] = _rewrite(schema, definitions, defaults)
    return rewritten


def _rewrite(node: Any, definitions: dict[str, Any], defaults: bool) -> Any:
    if isinstance(node, list):
        return [_rewrite(item, definitions, defaults) for item in node]
    if not isinstance(node, dict):
        return node
    node = dict(node)
    if reference := node.pop("$ref", None):
        node = {**definitions[reference.rpartition("/")[2]], **node}
    if options := node.pop("anyOf", None):
        (option,) = [option for option in options if option.get("type") != "null"]
        node = {**node, **option}
        if "$ref" in node:
            return _rewrite(node, definitions, defaults)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    # Titles carry no information, and an absent parent or list has the same meaning as its default.
    node.pop("title", None)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        node.pop("additionalProperties", None)
    if not defaults or node.get("default", 0) in (None, [], {}, ""):
        node.pop("default", None)
    if node.get("type") == "integer":
        node["format"] = "int64" if node.get("maximum", 0) > 2**31 - 1 or "maximum" not in node else "int32"
    out = {}
    for key, value in node.items():
        if key in ("properties", "additionalProperties"):
            out[key] = (
                {name: _rewrite(child, definitions, defaults) for name, child in value.items()}
                if key == "properties"
                else _rewrite(value, definitions, defaults)
            )
        elif key == "items":
            out[key] = _rewrite(value, definitions, defaults)
        else:
            out[key] = value
    return dict(sorted(out.items(), key=lambda item: item[0] in ("properties", "items")))
