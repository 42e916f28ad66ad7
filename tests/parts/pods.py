"""Pods in a namespace that enforces a pod security standard; no pod runs."""

from typing import Any

from tests.parts.rest import Rest


def enforce(rest: Rest, namespace: str, level: str = "restricted") -> None:
    """Sets the standard of the namespace."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    rest.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})


def create(rest: Rest, namespace: str, template: dict[str, Any]) -> Any:
    """Creates a pod from the template as a controller would; raises RestError if the API server refuses it."""
    # A dry run goes through admission and stores nothing.
    pod = {"metadata": {"generateName": "trial-", "labels": template["metadata"].get("labels", {})}}
    return rest.post(f"/api/v1/namespaces/{namespace}/pods", pod | {"spec": template["spec"]}, dryRun="All")
