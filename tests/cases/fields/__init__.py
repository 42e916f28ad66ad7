"""One row for each field of the spec: a value, and its effects. The reference takes its column of effects from them."""

from typing import Any

from tests.cases.fields import a2a, container, eventing, operations
from tests.cases.fields.rows import Row

ROWS = [*container.ROWS, *eventing.EVENTING, *operations.OPERATIONS, *a2a.EXTERNAL, *a2a.A2A, *a2a.TOOLS]


def documents(row: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the agent without the field but with every block above it, and the agent with the field."""
    return _document(row), _document(row, set_value=True)


def _document(row: Row, *, set_value: bool = False) -> dict[str, Any]:
    spec = _copy({"image": {"repository": "example.com/agent"}} | row.base)
    *parents, last = row.path.split(".")
    here = spec
    for part in parents:
        name, many = part.removesuffix("[]"), part.endswith("[]")
        if many:
            here = here.setdefault(name, [{}])[0]
        elif row.bare and not set_value and row.path.endswith(f"{name}.{last}"):
            break
        else:
            here = here.setdefault(name, {})
    if set_value:
        here[last] = row.value
    return _agent(spec)


def _agent(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "agent", "namespace": "ai"}, "spec": spec}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
