"""The environment of an agent's local process, as a cluster would give it. Pure.

dev's own environment comes first, then what the container would get, then PORT and K_SINK. `valueFrom` is resolved from
Secret and ConfigMap documents in the files, else from a variable of dev's own of the same name, else left unset.
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
    """What Secrets and ConfigMaps among the documents hold."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for document in documents:
        kind, metadata = document.get("kind"), document.get("metadata") or {}
        if kind not in ("Secret", "ConfigMap") or not metadata.get("name"):
            continue
        values = {key: str(value) for key, value in (document.get("data") or {}).items()}
        if kind == "Secret":
            # What is not base64 is left unset with a warning, as if the key were missing.
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
    """The whole environment, and a warning for each variable that stays unset."""
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
    """The kubelet's `$(NAME)`: an unknown name stays as it is written, and `$$` is a `$`."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)", value, text)
