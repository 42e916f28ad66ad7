"""Pods against the pod security standard that a namespace enforces; none of them ever runs here."""

from typing import Any

from tests.parts.rest import Rest


def enforce(rest: Rest, namespace: str, level: str = "restricted") -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    rest.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})


def create(rest: Rest, namespace: str, template: dict[str, Any]) -> Any:
    """A pod as a controller would make it from the template; raises RestError where it is refused."""
    # A dry run goes through admission and leaves nothing behind.
    pod = {"metadata": {"generateName": "trial-", "labels": template["metadata"].get("labels", {})}}
    return rest.post(f"/api/v1/namespaces/{namespace}/pods", pod | {"spec": template["spec"]}, dryRun="All")
