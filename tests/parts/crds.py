"""The CRDs in the tests' API server: those of Knative and RabbitMQ, and the product's own from `crds/` at the root.

By default the former are small manifests in this directory. They are stricter than upstream's: CEL in them repeats the
refusals of upstream's admission webhooks where CEL can express them. LAMBDAAGENT_TEST_CRDS=DIR takes the manifests of
upstream instead, without their conversion webhooks, which nothing here would answer.
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
    """Installs every CRD, waits until the API server serves all of them, and returns their names (`plural.group`)."""
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
    # A chosen directory may lack a kind, such as ServiceMonitor; the manifest of this directory fills the gap.
    found: dict[str, dict[str, Any]] = {}
    for place in (_MINE, folder(), _ROOT):
        for path in sorted(place.glob("*.yaml")):
            for document in documents(path.read_text()):
                if document.get("kind") == "CustomResourceDefinition":
                    found[document["metadata"]["name"]] = document
    for crd in found.values():
        crd.pop("status", None)  # an old generator writes nulls there
        if crd["spec"].get("conversion", {}).get("strategy") == "Webhook":
            crd["spec"]["conversion"] = {"strategy": "None"}
        yield crd


def _established(rest: Rest, name: str) -> bool:
    # The list is null before the first condition.
    conditions = rest.get(f"{_CRDS}/{name}").get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
