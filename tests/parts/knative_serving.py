"""What Knative Serving's controllers do with a Service, without pods."""

from dataclasses import dataclass, field

from tests.parts.knative import condition_of
from tests.parts.knative_objects import SERVING, Object, Objects, conditions, controller, owner

_CONDITIONS = ("ConfigurationsReady", "Ready", "RoutesReady")
_LATEST = [{"latestRevision": True, "percent": 100}]


@dataclass
class Serving:
    """Makes the Configuration, Revision, Deployment, Route and ExternalName Service of each Service.

    `addresses` holds where the address of a Service leads, by namespace and name, if not to its own host name.
    """

    _objects: Objects
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)

    def service(self, namespace: str, name: str) -> None:
        service = self._objects.find(SERVING, namespace, "services", name)
        if service is None:
            return
        metadata, template = service["metadata"], service["spec"]["template"]
        of_service = {"serving.knative.dev/service": name, "serving.knative.dev/serviceUID": metadata["uid"]}
        copied = {
            "labels": metadata.get("labels", {}) | of_service,
            "annotations": metadata.get("annotations", {}),
            "ownerReferences": [owner(service)],
        }
        configuration = self._objects.keep(SERVING, namespace, "configurations", name, copied, {"template": template})
        revision = self._revision(namespace, name, configuration, of_service)
        route = self._objects.keep(
            SERVING, namespace, "routes", name, copied, {"traffic": service["spec"].get("traffic") or _LATEST}
        )
        placeholder = self._objects.find("v1", namespace, "services", name)
        if placeholder is None:
            labels = route["metadata"]["labels"] | {"serving.knative.dev/route": name}
            spec = {"type": "ExternalName", "externalName": "kourier-internal.kourier-system.svc.cluster.local"}
            copied |= {"labels": labels, "ownerReferences": [owner(route)]}
            placeholder = self._objects.keep("v1", namespace, "services", name, copied, spec)
        self._report(service, revision, ours=controller(placeholder) == route["metadata"]["uid"])

    def _revision(self, namespace: str, name: str, configuration: Object, of_service: dict[str, str]) -> Object:
        metadata, template = configuration["metadata"], configuration["spec"]["template"]
        revision_name = f"{name}-{metadata['generation']:05d}"
        labels = template["metadata"].get("labels", {}) | of_service
        labels |= {
            "serving.knative.dev/configuration": name,
            "serving.knative.dev/configurationGeneration": str(metadata["generation"]),
            "serving.knative.dev/configurationUID": metadata["uid"],
            "serving.knative.dev/routingState": "active",
        }
        marks = {"labels": labels, "ownerReferences": [owner(configuration)]}
        marks["annotations"] = template["metadata"].get("annotations", {})
        revision = self._objects.keep(SERVING, namespace, "revisions", revision_name, marks, template["spec"])
        labels |= {"serving.knative.dev/revision": revision_name, "app": revision_name}
        selector = {"serving.knative.dev/revisionUID": revision["metadata"]["uid"]}
        pod = {"containers": [{"name": "user-container", "image": template["spec"]["containers"][0]["image"]}]}
        marks = {"labels": labels | selector, "ownerReferences": [owner(revision)]}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels | selector}, "spec": pod},
        }
        self._objects.keep("apps/v1", namespace, "deployments", f"{revision_name}-deployment", marks, spec)
        ready, image = not _missing(revision), revision["spec"]["containers"][0]["image"]
        said = {"reason": "ContainerMissing", "message": f"Unable to fetch image {image!r}: manifest unknown"}
        self._objects.report(
            SERVING,
            "revisions",
            revision,
            {"conditions": [condition_of("Ready", "True" if ready else "False", **({} if ready else said))]},
        )
        return revision

    def _report(self, service: Object, revision: Object, *, ours: bool) -> None:
        metadata, name = service["metadata"], revision["metadata"]["name"]
        before, ready = service.get("status", {}).get("latestReadyRevisionName"), not _missing(revision)
        url = f"http://{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
        address = self.addresses.get((metadata["namespace"], metadata["name"]), url)
        status: Object = {"url": url, "address": {"url": address}, "latestCreatedRevisionName": name}
        if serving := name if ready else before:
            status["latestReadyRevisionName"] = serving
            pinned = service["spec"].get("traffic")
            status["traffic"] = pinned or [{"revisionName": serving, "latestRevision": True, "percent": 100}]
        failed: Object = {}
        if not ready:
            text = f'Revision "{name}" failed with message: Unable to fetch image'
            failed = {"ConfigurationsReady": {"reason": "RevisionFailed", "message": text}}
        if not ours:
            text = f'There is an existing Service "{metadata["name"]}" that we do not own.'
            failed["RoutesReady"] = {"reason": "NotOwned", "message": text}
        self._objects.report(SERVING, "services", service, status | {"conditions": conditions(_CONDITIONS, failed)})


def _missing(revision: Object) -> bool:
    return bool(revision["spec"]["containers"][0]["image"].endswith(":missing"))
