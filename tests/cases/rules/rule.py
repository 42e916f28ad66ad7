"""A rule of the table, and blocks of the spec that several rules use."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Rule(NamedTuple):
    id: str
    spec: dict[str, Any]
    field: str
    name: str = "valid-name"
    cluster: str = ""  # the field that the API server names; a rule of the CRD cannot name the item of a list


def image(**fields: Any) -> dict[str, Any]:
    return {"image": {"repository": "example.com/agent", **fields}}


def external(url: str = "https://agent.example.com/rpc", *, headers: Sequence[str] = (), **a2a: Any) -> dict[str, Any]:
    """Returns an external agent, with these secret headers."""
    given = [{"name": name, "secretKeyRef": {"name": "s", "key": "k"}} for name in headers]
    server = {"url": url} | ({"headersFrom": given} if given else {})
    return {"image": None, "external": server} | ({"a2a": a2a} if a2a else {})


def prompt(letters: int) -> dict[str, Any]:
    return {"behavior": {"systemPrompt": "\U0001f35d" * letters}}


def secret(name: str, key: str) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]}


def traffic(*targets: dict[str, Any]) -> dict[str, Any]:
    return {"serving": {"traffic": list(targets)}}


def delivery(**fields: Any) -> dict[str, Any]:
    return {"eventing": {"subscriptions": [{"eventType": "a"}], "delivery": fields}}


def skill(**fields: Any) -> dict[str, Any]:
    return {"a2a": {"skills": [{"id": "one", "name": "One", **fields}]}}


def subscriptions(count: int) -> dict[str, Any]:
    return {"eventing": {"subscriptions": [{"eventType": f"io.example.kind-{number:03d}"} for number in range(count)]}}


def grant(**fields: Any) -> dict[str, Any]:
    return {"a2a": {"enabled": True, "access": {"grants": [fields]}}}


def tools(*headers: str, **fields: Any) -> dict[str, Any]:
    """Returns a server of tools with these headers."""
    given = [{"name": name, "secretKeyRef": {"name": "s", "key": "k"}} for name in headers]
    return {"tools": [{"mcpServer": {"name": "m", "endpoint": "http://m", "headersFrom": given, **fields}}]}
