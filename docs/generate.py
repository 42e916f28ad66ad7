"""`python -m docs.generate` writes the references of fields, from the CRD and the table of effects, and of routes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cases.fields import ROWS

from lambdaagent.api.crd import crd
from lambdaagent.api.forms import FORMS
from lambdaagent.children.forwards import FINE, ForwardVerdict
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.dispatcher.condition_reasons import ConditionReason as DispatcherReason
from lambdaagent.gateway.routes import gateway_routes, openapi
from lambdaagent.gateway.routes.agent_routes import AGENT_ROUTES
from lambdaagent.status.decide import GATES, OPERATOR_CONDITIONS

PAGE = Path(__file__).parent / "reference" / "lambdaagent.md"
_HEAD = """\
# LambdaAgent

`make reference` writes this page from the models and from the table by which every field is tested; do not edit it.
`kubectl explain lambdaagent.spec` shows the same descriptions for the version in a cluster. Only single fields have
default values, blocks have none. A field that has no effect is reported in `status.warnings`, or is refused.
"""


HTTP_PAGE = PAGE.with_name("http.md")
_HTTP_HEAD = """\
# HTTP interface

`make reference` writes this page from the table of routes; do not edit it. The gateway serves the same as an OpenAPI
3.1 document at `/openapi.json`. The action says what a caller does. Paths of agents are those of an agent without
settings: `spec.a2a.endpoint.basePath` changes `/api/a2a`, and on a host of its own an agent is served without
`/agents/{namespace}/{agent}`. A GET route also answers HEAD. With `LAMBDAAGENT_METRICS_PORT`, which the chart sets, the
routes with the action `observe` are on that port and on no other.
"""
_HTTP_METHODS = """
## Methods of the JSON-RPC binding
"""


@dataclass(frozen=True, slots=True)
class Field:
    path: str
    schema: dict[str, Any]
    required: bool
    leaf: bool

    @property
    def description(self) -> str:
        said: str = self.schema.get("description", "")
        return said


def fields() -> list[Field]:
    """Every block and field of the spec, in order; `[]` marks a list of blocks."""
    (version,) = crd()["spec"]["versions"]
    return list(_fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"], ""))


def _fields(block: dict[str, Any], prefix: str) -> Iterator[Field]:
    for name, schema in block["properties"].items():
        inner = schema.get("items", schema)
        path = f"{prefix}{name}" + ("[]" if "properties" in inner and inner is not schema else "")
        leaf = "properties" not in inner or inner.get("x-kubernetes-preserve-unknown-fields") is True
        yield Field(path, schema, name in block.get("required", ()), leaf)
        if not leaf:
            yield from _fields(inner, f"{path}.")


def page() -> str:
    effects = {row.path: "; ".join(effect.text() for effect in row.effects) for row in ROWS}
    parts = [_HEAD]
    everything = fields()
    top = dict.fromkeys(field.path.partition(".")[0] for field in everything)
    plain = [field for field in everything if field.leaf and "." not in field.path]
    parts.append(_section("spec", "", plain, effects))
    for name in top:
        inside = [field for field in everything if field.path.partition(".")[0] == name]
        if not inside[0].leaf:
            parts.append(_section(name, inside[0].description, inside[1:], effects))
    return "\n".join([*parts, _rules(), _warnings(), _conditions()])


def _section(name: str, description: str, inside: list[Field], effects: dict[str, str]) -> str:
    lines = [f"## {name}", "", *([description, ""] if description else [])]
    lines += ["| field | type | default | meaning | appears in |", "|---|---|---|---|---|"]
    for field in inside:
        cells = [f"`{field.path}`", _type(field), _default(field), field.description, effects.get(field.path, "")]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _type(field: Field) -> str:
    schema = field.schema
    many = schema["type"] == "array"
    said = _kind(schema)
    if many:
        said = f"list{_bounds(schema, 'minItems', 'maxItems', 'items')}: {_kind(schema['items'])}"
    return said + (", required" if field.required else "")


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "integer":
        return "integer" + _bounds(schema, "minimum", "maximum", "")
    if schema["type"] == "object":
        return "map of strings" if "additionalProperties" in schema else "block"
    if schema["type"] == "string":
        pattern = schema.get("pattern")
        form = f"string `{pattern}`" if pattern else "string"
        return FORMS.get(pattern or "", form) + _bounds(schema, "minLength", "maxLength", "characters")
    kind: str = schema["type"]
    return kind


def _bounds(schema: dict[str, Any], low: str, high: str, unit: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is None and most is None:
        return ""
    said = f"at least {least}" if most is None else f"at most {most}" if least is None else f"{least} to {most}"
    return f", {said} {unit}".rstrip()


def _default(field: Field) -> str:
    default = field.schema.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    return "" if default is None else f"`{default}`"


def _rules() -> str:
    """Return the rules that the type of a single field does not express."""
    (version,) = crd()["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    found = [("metadata", root), ("spec", root["properties"]["spec"])]
    found += [(f"spec.{field.path}", field.schema.get("items", field.schema)) for field in fields()]
    lines = [
        "## Rules between fields",
        "",
        "The CRD enforces these rules; `lambdaagent validate` checks them without a cluster.",
        "",
    ]
    for path, schema in found:
        for rule in schema.get("x-kubernetes-validations", ()):
            lines.append(f"- `{path}{rule.get('fieldPath', '')}`: {rule['message']}")
    return "\n".join(lines) + "\n"


def _warnings() -> str:
    where = "In `status.warnings` and in the output of `lambdaagent validate` and `render`. They do not affect `Ready`."
    lines = ["## Warnings", "", where, ""]
    lines += ["| reason | meaning |", "|---|---|"]
    lines += [f"| `{reason}` | {reason.meaning} |" for reason in WarningReason]
    return "\n".join(lines) + "\n"


def _conditions() -> str:
    verdicts = ", ".join(f"`{verdict}`" for verdict in ForwardVerdict if verdict not in FINE)
    kinds = sorted({*OPERATOR_CONDITIONS, *GATES} - {"Ready"})
    lines = ["## Conditions", "", f"`Ready` is true if {', '.join(f'`{kind}`' for kind in GATES)} are true."]
    lines += ["All conditions: " + ", ".join(f"`{kind}`" for kind in ["Ready", *kinds]) + "."]
    lines += [f"`ForwardsResolved` is false for these reasons: {verdicts}."]
    lines += ["", "On plain RabbitMQ the dispatcher writes `EventingReady`:", ""]
    lines += ["| reason | status | meaning |", "|---|---|---|"]
    lines += [f"| `{reason}` | {reason.holds} | {reason.meaning} |" for reason in DispatcherReason]
    return "\n".join(lines) + "\n"


def http_page() -> str:
    """Returns the page of the HTTP interface, from the table of routes."""
    methods = [f"| `{name}` | {edition} | `{action}` |" for name, edition, action in openapi.methods()]
    table = ["| method | version | action |", "|---|---|---|", *methods]
    rows = openapi.table(gateway_routes.table().routes, AGENT_ROUTES)
    return "\n".join([_HTTP_HEAD, rows, _HTTP_METHODS, *table]) + "\n"


def main() -> None:
    PAGE.write_text(page())
    HTTP_PAGE.write_text(http_page())


if __name__ == "__main__":
    main()
