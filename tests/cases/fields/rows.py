"""A row of the table, and rows that describe two fields."""

from typing import Any, NamedTuple

from tests.cases.effects import Child, Effect, Env, Warned

from lambdaagent.children.warning_reasons import WarningReason


class Row(NamedTuple):
    path: str
    value: Any
    effects: tuple[Effect, ...]
    base: dict[str, Any]  # other fields of the agent; the blocks above the field are added empty
    bare: bool = False  # the agent without the field lacks its block too, because the block has an effect


def row(path: str, value: Any, *effects: Effect, **base: Any) -> Row:
    return Row(path, value, effects, base)


KNATIVE_ONLY = Warned(WarningReason.KNATIVE_ONLY, on="kubernetes")
NOT_SUPPORTED = Warned(WarningReason.NOT_SUPPORTED)
FORWARD = {"eventTypes": ["b"], "targetAgent": "ledger", "targetNamespace": "finance"}
REF, OTHER = {"name": "mine", "key": "token"}, {"name": "other", "key": "other"}


def service(path: str, becomes: Any = None) -> Child:
    """Returns an effect in the Knative Service."""
    return Child("Service", path) if becomes is None else Child("Service", path, becomes)


def reference(path: str, *names: str, **base: Any) -> list[Row]:
    """Returns the rows of the two fields of a reference to a Secret, which these variables repeat."""
    rows = []
    for part, value in REF.items():
        effects = [Env(name, at=f"valueFrom/secretKeyRef/{part}") for name in names]
        rows.append(Row(f"{path}.{part}", value, tuple(effects), _put(base, path, OTHER)))
    return rows


def _put(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {**base, first: _put(base.get(first, {}), rest, value) if rest else value}
