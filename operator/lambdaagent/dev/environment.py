"""The environment of an agent's local process, corresponding to that in a cluster. Pure.

It is dev's own environment, then the container's variables, then PORT and K_SINK; later values win. `valueFrom` is
resolved from Secret and ConfigMap documents in the files, else from the variable of the same name in dev's own
environment; otherwise the variable is unset.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.environment import environment

# (kind, namespace, name) -> key -> value
Sources = Mapping[tuple[str, str, str], Mapping[str, str]]


def sources(documents: Iterable[Mapping[str, Any]], *, namespace: str = "default") -> Sources:
    """Return the values in the Secrets and ConfigMaps among the documents."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for document in documents:
        kind, metadata = document.get("kind"), document.get("metadata") or {}
        if kind not in ("Secret", "ConfigMap") or not metadata.get("name"):
            continue
        values = {key: str(value) for key, value in (document.get("data") or {}).items()}
        if kind == "Secret":
            # A value that is not base64 is treated as a missing key: the variable is unset, with a warning.
            decoded = {key: _decode(value) for key, value in values.items()}
            values = {key: value for key, value in decoded.items() if value is not None}
            values |= {key: str(value) for key, value in (document.get("stringData") or {}).items()}
        found[kind, metadata.get("namespace", namespace), metadata["name"]] = values
    return found


def _decode(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except binascii.Error:
        return None


def local(
    agent: LambdaAgent, *, sink: str, gateway: str, port: int, own: Mapping[str, str], known: Sources
) -> tuple[dict[str, str], list[str]]:
    """Return the whole environment, and a warning for each variable that stays unset."""
    variables, warnings = dict(own), []
    for entry in environment(agent, sink=sink, gateway=gateway):
        name, source = entry["name"], entry.get("valueFrom")
        if source is None:
            variables[name] = expand(entry["value"], variables)
            continue
        kind, reference = (
            ("Secret", source["secretKeyRef"]) if "secretKeyRef" in source else ("ConfigMap", source["configMapKeyRef"])
        )
        value = known.get((kind, agent.namespace, reference["name"]), {}).get(reference["key"], own.get(name))
        if value is None:
            variables.pop(name, None)
            place = f"{kind} {reference['name']} (key {reference['key']})"
            warnings.append(f"{name} stays unset: no {place} in the files and no variable {name} in the environment")
        else:
            variables[name] = value
    return variables | {"PORT": str(port), "K_SINK": sink}, warnings


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Expand `$(NAME)` as the kubelet does: an unknown name stays as it is, and `$$` becomes `$`."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)", value, text)
