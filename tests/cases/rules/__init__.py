"""What the API refuses and accepts: one table for the Python rules and for the CRD on a real API server.

Knative's CRDs accept most of what is refused here, and its webhooks or the API server refuse it in a child, after the
LambdaAgent was accepted.

A row has the fields that are merged into the spec of a valid agent (or its metadata), and the field that the problem
must name.
"""

from typing import Any

from tests.cases.rules import calls, container
from tests.cases.rules.accepted import ACCEPTED
from tests.cases.rules.rule import Rule

__all__ = ["ACCEPTED", "REFUSED", "Rule", "document"]

REFUSED = [*container.REFUSED, *calls.REFUSED]


def document(rule: Rule, *, namespace: str = "default") -> dict[str, Any]:
    """Returns the LambdaAgent of a rule."""
    spec = {"image": {"repository": "example.com/agent"}} | rule.spec
    if spec["image"] is None:
        del spec["image"]
    return {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": rule.name, "namespace": namespace},
        "spec": spec,
    }
