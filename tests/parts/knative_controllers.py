"""What Knative's controllers do to objects, in the namespaces that a test names: a small emulation of them.

A Service gets a Configuration, a Revision per template, the Revision's Deployment, a Route and the Route's
ExternalName Service, each with the labels that Knative copies and the controller reference that it sets; what is
deleted is made again. A Broker gets its Exchange, ingress and dead-letter dispatcher, a Trigger its queue and
dispatcher. Status follows as the real controllers report it, refusals included: a Service of the agent's name that is
not the Route's, a subscriber that is not there, a queue that belongs to a Broker that was replaced. Pods never run:
an image with the tag `missing` has no Revision that becomes ready, all others are ready at once.

One thread follows each kind, and one does the work, so that no two write at once. Nothing happens in other namespaces.
"""

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import md5
from http.client import HTTPException
from typing import Any

from tests.parts.knative import condition_of
from tests.parts.rest import Rest, RestError, Watch

Object = dict[str, Any]
SERVING, EVENTING, RABBITMQ = "serving.knative.dev/v1", "eventing.knative.dev/v1", "rabbitmq.com/v1beta1"
_WATCHED = ((SERVING, "services"), ("v1", "services"), (EVENTING, "brokers"), (EVENTING, "triggers"))
_ATTEMPTS = 5


@dataclass
class KnativeControllers:
    rest: Rest
    # How often each object was made, as "plural/name" in its namespace: what somebody deletes is made again.
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    # What the API server refused for good.
    problems: list[str] = field(default_factory=list)
    # Where the address of a Service leads, by namespace and name, where it is to lead anywhere.
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)
    _namespaces: set[str] = field(default_factory=set)
    _work: "queue.Queue[tuple[str, str, str, int]]" = field(default_factory=queue.Queue)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        for group, plural in _WATCHED:
            threading.Thread(target=self._follow, args=(group, plural), name=f"knative {plural}", daemon=True).start()
        threading.Thread(target=self._run, name="knative", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        for watch in list(self._watches.values()):
            watch.close()

    @contextlib.contextmanager
    def running(self, namespace: str) -> Iterator["KnativeControllers"]:
        """What is there already is looked at first. Raises at the end if anything was refused for good."""
        self._namespaces.add(namespace)
        try:
            for group, plural in _WATCHED:
                for item in self.rest.get(_path(group, namespace, plural))["items"]:
                    self._queue(group, plural, item)
            yield self
        finally:
            self._namespaces.discard(namespace)
        assert not self.problems, self.problems

    def _follow(self, group: str, plural: str) -> None:
        path = f"{_root(group)}/{plural}"
        while not self._stopped.is_set():
            with contextlib.suppress(
                OSError, RestError, ValueError, HTTPException
            ):  # the server may be away for a while
                listing = self.rest.get(path)
                for item in listing["items"]:
                    self._queue(group, plural, item)
                self._watches[path] = self.rest.watch(path, since=listing["metadata"]["resourceVersion"])
                for event in self._watches[path]:
                    self._queue(group, plural, event["object"])
            self._stopped.wait(0.1)

    def _queue(self, group: str, plural: str, item: Object) -> None:
        namespace, name = item["metadata"].get("namespace"), item["metadata"].get("name")
        if namespace in self._namespaces and name:
            self._work.put((f"{group}/{plural}", namespace, name, 0))

    def _run(self) -> None:
        while not self._stopped.is_set():
            kind, namespace, name, attempt = self._work.get()
            if namespace not in self._namespaces:
                continue
            try:
                self._kinds[kind](namespace, name)
            except (OSError, RestError) as problem:
                if isinstance(problem, RestError) and (problem.status == 404 or "being terminated" in str(problem)):
                    continue
                if attempt == _ATTEMPTS:
                    self.problems.append(str(problem))
                    continue
                threading.Timer(0.1, self._work.put, [(kind, namespace, name, attempt + 1)]).start()

    @property
    def _kinds(self) -> dict[str, Callable[[str, str], None]]:
        return {
            f"{SERVING}/services": self._service,
            # The Route's own Service has the Route's name, and that is the Knative Service's.
            "v1/services": self._service,
            f"{EVENTING}/brokers": self._broker,
            f"{EVENTING}/triggers": self._trigger,
        }

    def _service(self, namespace: str, name: str) -> None:
        service = self._find(SERVING, namespace, "services", name)
        if service is None:
            return
        metadata, template = service["metadata"], service["spec"]["template"]
        of_service = {"serving.knative.dev/service": name, "serving.knative.dev/serviceUID": metadata["uid"]}
        copied = {
            "labels": metadata.get("labels", {}) | of_service,
            "annotations": metadata.get("annotations", {}),
            "ownerReferences": [_owner(service)],
        }
        configuration = self._keep(SERVING, namespace, "configurations", name, copied, {"template": template})
        revision = self._revision(namespace, name, configuration, of_service)
        route = self._keep(
            SERVING, namespace, "routes", name, copied, {"traffic": service["spec"].get("traffic") or _LATEST}
        )
        placeholder = self._find("v1", namespace, "services", name)
        if placeholder is None:
            labels = route["metadata"]["labels"] | {"serving.knative.dev/route": name}
            spec = {"type": "ExternalName", "externalName": "kourier-internal.kourier-system.svc.cluster.local"}
            copied |= {"labels": labels, "ownerReferences": [_owner(route)]}
            placeholder = self._keep("v1", namespace, "services", name, copied, spec)
        self._report_service(service, revision, ours=_controller(placeholder) == route["metadata"]["uid"])

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
        marks = {"labels": labels, "ownerReferences": [_owner(configuration)]}
        marks["annotations"] = template["metadata"].get("annotations", {})
        revision = self._keep(SERVING, namespace, "revisions", revision_name, marks, template["spec"])
        labels |= {"serving.knative.dev/revision": revision_name, "app": revision_name}
        selector = {"serving.knative.dev/revisionUID": revision["metadata"]["uid"]}
        pod = {"containers": [{"name": "user-container", "image": template["spec"]["containers"][0]["image"]}]}
        marks = {"labels": labels | selector, "ownerReferences": [_owner(revision)]}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels | selector}, "spec": pod},
        }
        self._keep("apps/v1", namespace, "deployments", f"{revision_name}-deployment", marks, spec)
        ready, image = not _missing(revision), revision["spec"]["containers"][0]["image"]
        said = {"reason": "ContainerMissing", "message": f"Unable to fetch image {image!r}: manifest unknown"}
        self._report(
            SERVING,
            "revisions",
            revision,
            {"conditions": [condition_of("Ready", "True" if ready else "False", **({} if ready else said))]},
        )
        return revision

    def _report_service(self, service: Object, revision: Object, *, ours: bool) -> None:
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
        self._report(SERVING, "services", service, status | {"conditions": _conditions(_SERVICE, failed)})

    def _broker(self, namespace: str, name: str) -> None:
        broker = self._find(EVENTING, namespace, "brokers", name)
        if broker is not None:
            config = broker["spec"]["config"]
            found = self._find("eventing.knative.dev/v1alpha1", namespace, "rabbitmqbrokerconfigs", config["name"])
            if found is None:
                said = {"reason": "ExchangeCredentialsUnavailable", "message": f"config {config['name']} not found"}
                self._report(EVENTING, "brokers", broker, {"conditions": _conditions(_BROKER, {"ExchangeReady": said})})
            else:
                self._make_broker(broker, found["spec"]["rabbitmqClusterReference"])
        for item in self.rest.get(_path(EVENTING, namespace, "triggers"))["items"]:
            if item["spec"]["broker"] == name:
                self._trigger(namespace, item["metadata"]["name"])

    def _make_broker(self, broker: Object, cluster: Object) -> None:
        namespace, name, uid = (broker["metadata"][key] for key in ("namespace", "name", "uid"))
        exchange = _child_name(f"b.{namespace}.{name}.", uid)
        marks = {"labels": {"eventing.knative.dev/broker": name}, "ownerReferences": [_owner(broker)]}
        spec = {"name": exchange, "type": "headers", "durable": True, "rabbitmqClusterReference": cluster}
        self._topology(namespace, "exchanges", exchange, marks, spec)
        self._deployment(namespace, f"{name}-broker-ingress", broker, {"eventing.knative.dev/brokerRole": "ingress"})
        port = {"name": "http", "port": 80, "targetPort": 8080}
        self._keep("v1", namespace, "services", f"{name}-broker-ingress", marks, {"ports": [port]})
        if broker["spec"].get("delivery", {}).get("deadLetterSink"):
            self._deployment(namespace, f"{name}-dlq-dispatcher", broker, {"eventing.knative.dev/brokerRole": "dlq"})
        url = f"http://{name}-broker-ingress.{namespace}.svc.cluster.local"
        status = {"address": {"url": url}, "conditions": _conditions(_BROKER, {})}
        self._report(EVENTING, "brokers", broker, status)

    def _trigger(self, namespace: str, name: str) -> None:
        trigger = self._find(EVENTING, namespace, "triggers", name)
        if trigger is None:
            return
        labels = {"eventing.knative.dev/broker": trigger["spec"]["broker"]}
        if not labels.items() <= trigger["metadata"].get("labels", {}).items():
            self.rest.merge(_path(EVENTING, namespace, "triggers", name), {"metadata": {"labels": labels}})
        broker = self._find(EVENTING, namespace, "brokers", trigger["spec"]["broker"])
        subscriber = self._resolve(namespace, trigger["spec"]["subscriber"])
        failed: Object = {}
        if broker is None:
            text = f"Broker {trigger['spec']['broker']} does not exist"
            failed["BrokerReady"] = {"reason": "BrokerDoesNotExist", "message": text}
        elif not _is_ready(broker):
            failed["BrokerReady"] = {"reason": "BrokerNotReady", "message": "the Broker is not ready"}
        else:
            failed |= self._queue_of(trigger, broker)
        if subscriber is None:
            failed["SubscriberResolved"] = {"reason": "Unable to get the Subscriber's URI", "message": "not found"}
        if not failed:
            self._deployment(namespace, f"{name}-dispatcher", trigger, labels)
            if trigger["spec"].get("delivery", {}).get("deadLetterSink"):
                self._deployment(namespace, f"{name}-dlx-dispatcher", trigger, labels)
        status: Object = {"conditions": _conditions(_TRIGGER, failed)}
        if subscriber:
            status["subscriberUri"] = subscriber
        self._report(EVENTING, "triggers", trigger, status)

    def _queue_of(self, trigger: Object, broker: Object) -> Object:
        """The queue's name holds the Broker's UID and cannot be changed; its object is named after the Trigger's."""
        namespace, name, uid = (trigger["metadata"][key] for key in ("namespace", "name", "uid"))
        named = _child_name(f"t.{namespace}.{name}.", uid)
        spec = {"name": f"{namespace}.{name}.{broker['metadata']['uid']}", "type": "quorum", "durable": True}
        marks = {"ownerReferences": [_owner(trigger)]}
        found = self._find(RABBITMQ, namespace, "queues", named)
        if found is None:
            config = self._find("eventing.knative.dev/v1alpha1", namespace, "rabbitmqbrokerconfigs", _config(broker))
            cluster = config["spec"]["rabbitmqClusterReference"] if config else {"name": "gone"}
            self._topology(namespace, "queues", named, marks, spec | {"rabbitmqClusterReference": cluster})
            return {}
        if found["spec"]["name"] == spec["name"]:
            return {}
        text = f"admission webhook denied the request: spec.name: Forbidden: queue {named} is immutable"
        return {"DependencyReady": {"reason": "QueueFailure", "message": text}}

    def _resolve(self, namespace: str, subscriber: Object) -> str | None:
        reference = subscriber.get("ref")
        if reference is None:
            return str(subscriber["uri"])
        within = reference.get("namespace", namespace)
        plural = {"Service": "services", "Broker": "brokers"}[reference["kind"]]
        found = self._find(reference["apiVersion"], within, plural, reference["name"])
        if found is None:
            return None
        if reference["apiVersion"] == "v1":
            return f"http://{reference['name']}.{within}.svc.cluster.local"
        return str(found.get("status", {}).get("address", {}).get("url", "")) or None

    def _deployment(self, namespace: str, name: str, owner: Object, labels: dict[str, str]) -> None:
        marks = {"labels": labels, "ownerReferences": [_owner(owner)]}
        selector = {"app": name[:63]}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"containers": [{"name": "dispatcher", "image": "gcr.io/knative-releases/dispatcher"}]},
            },
        }
        self._keep("apps/v1", namespace, "deployments", name, marks, spec)

    def _topology(self, namespace: str, plural: str, name: str, marks: Object, spec: Object) -> None:
        """An object that RabbitMQ's topology operator carries out at once."""
        found = self._keep(RABBITMQ, namespace, plural, name, marks, spec)
        self._report(RABBITMQ, plural, found, {"conditions": [condition_of("Ready", "True")]})

    def _keep(self, group: str, namespace: str, plural: str, name: str, marks: Object, spec: Object) -> Object:
        """Made if it is not there; the template and the labels of what is there follow."""
        found = self._find(group, namespace, plural, name)
        if found is None:
            body = {"apiVersion": group, "kind": _KINDS[plural], "metadata": {"name": name, **marks}, "spec": spec}
            found = self.rest.post(_path(group, namespace, plural), body)
            self.made[namespace, f"{plural}/{name}"] += 1
        elif group == SERVING and plural in ("configurations", "routes"):
            labels = marks["labels"]
            if found["spec"] != spec or found["metadata"].get("labels", {}) != labels:
                found["metadata"]["labels"], found["spec"] = labels, spec
                found = self.rest.put(_path(group, namespace, plural, name), found)
        return dict(found)

    def _report(self, group: str, plural: str, obj: Object, status: Object) -> None:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        status = {"observedGeneration": obj["metadata"]["generation"], **status}
        if _timeless(obj.get("status", {})) == _timeless(status):
            return
        path = _path(group, namespace, plural, name)
        self.rest.merge(f"{path}/status", {"status": status})

    def _find(self, group: str, namespace: str, plural: str, name: str) -> Object | None:
        """None also while it is being deleted."""
        found = self.rest.find(_path(group, namespace, plural, name))
        return None if found is None or found["metadata"].get("deletionTimestamp") else found


_KINDS = {
    "brokers": "Broker",
    "configurations": "Configuration",
    "deployments": "Deployment",
    "exchanges": "Exchange",
    "queues": "Queue",
    "revisions": "Revision",
    "routes": "Route",
    "services": "Service",
}
_SERVICE = ("ConfigurationsReady", "Ready", "RoutesReady")
_BROKER = ("Addressable", "DLXReady", "DeadLetterSinkReady", "ExchangeReady", "IngressReady", "Ready", "SecretReady")
_TRIGGER = ("BrokerReady", "DeadLetterSinkResolved", "DependencyReady", "Ready", "SubscriberResolved")
_LATEST = [{"latestRevision": True, "percent": 100}]


def _conditions(kinds: tuple[str, ...], failed: Object) -> list[Object]:
    """All of the kind; Ready repeats what failed first."""
    first = next(iter(failed.values()), None)
    said = failed | ({"Ready": first} if first else {})
    return [condition_of(kind, "False" if kind in said else "True", **said.get(kind, {})) for kind in kinds]


def _timeless(status: Object) -> Object:
    entries = status.get("conditions") or []
    untimed = [{key: value for key, value in entry.items() if key != "lastTransitionTime"} for entry in entries]
    return status | {"conditions": untimed}


def _is_ready(obj: Object) -> bool:
    entries = obj.get("status", {}).get("conditions") or []
    current = obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"]
    return current and any(entry["type"] == "Ready" and entry["status"] == "True" for entry in entries)


def _missing(revision: Object) -> bool:
    return bool(revision["spec"]["containers"][0]["image"].endswith(":missing"))


def _config(broker: Object) -> str:
    return str(broker["spec"]["config"]["name"])


def _owner(obj: Object) -> Object:
    owner = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "controller": True, "blockOwnerDeletion": True}
    return owner | {key: obj["metadata"][key] for key in ("name", "uid")}


def _controller(obj: Object) -> str:
    references = obj["metadata"].get("ownerReferences", [])
    return next((str(reference["uid"]) for reference in references if reference.get("controller")), "")


def _child_name(parent: str, suffix: str) -> str:
    """As knative.dev/pkg/kmeta.ChildName, for a suffix that is a UID."""
    if len(parent) + len(suffix) <= 63:
        return parent + suffix
    digest = md5((parent + suffix).encode(), usedforsecurity=False).hexdigest()
    return (parent[:31] + digest + suffix)[:63].rstrip(".-")


def _root(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"


def _path(group: str, namespace: str, plural: str, name: str = "") -> str:
    return f"{_root(group)}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
