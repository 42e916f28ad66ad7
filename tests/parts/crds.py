"""The kinds that the tests' API server knows: Knative's and RabbitMQ's, and our own from `crds/` at the root.

By default those are small manifests of this directory, stricter than upstream's: what the upstream admission webhooks
refuse stands in them as CEL where CEL can say it. LAMBDAAGENT_TEST_CRDS=DIR takes upstream's manifests instead; a
conversion webhook in them is switched off, because nothing would answer it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.parts.documents import documents
from tests.parts.process import PartFailedError
from tests.parts.rest import Rest

_MINE = Path(__file__).with_name("crds")
_ROOT = Path(__file__).parents[2] / "crds"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def folder() -> Path:
    chosen = os.environ.get("LAMBDAAGENT_TEST_CRDS")
    return Path(chosen) if chosen else _MINE


def install(rest: Rest, *, within: float = 30) -> tuple[str, ...]:
    """Installs every kind and waits until all of them are served; their names (`plural.group`)."""
    names = []
    for crd in _manifests():
        name = crd["metadata"]["name"]
        rest.apply(f"{_CRDS}/{name}", crd)
        names.append(name)
    deadline = time.monotonic() + within
    while missing := [name for name in names if not _established(rest, name)]:
        if time.monotonic() > deadline:
            raise PartFailedError(f"not served after {within} s: {', '.join(missing)}")
        time.sleep(0.05)
    return tuple(names)


def _manifests() -> Iterator[dict[str, Any]]:
    # Upstream has no ServiceMonitor among them; ours fills what a chosen directory does not define.
    found: dict[str, dict[str, Any]] = {}
    for place in (_MINE, folder(), _ROOT):
        for path in sorted(place.glob("*.yaml")):
            for document in documents(path.read_text()):
                if document.get("kind") == "CustomResourceDefinition":
                    found[document["metadata"]["name"]] = document
    for crd in found.values():
        crd.pop("status", None)  # an old generator left stanzas of nulls
        if crd["spec"].get("conversion", {}).get("strategy") == "Webhook":
            crd["spec"]["conversion"] = {"strategy": "None"}
        yield crd


def _established(rest: Rest, name: str) -> bool:
    # null before the first one.
    conditions = rest.get(f"{_CRDS}/{name}").get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
