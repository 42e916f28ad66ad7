"""What Knative Eventing's controllers for RabbitMQ do with Brokers and Triggers, without pods."""

from dataclasses import dataclass
from hashlib import md5

from tests.parts.knative import condition_of
from tests.parts.knative_objects import EVENTING, RABBITMQ, Object, Objects, conditions, is_ready, owner, path

_CONFIGS = "eventing.knative.dev/v1alpha1"
_BROKER = ("Addressable", "DLXReady", "DeadLetterSinkReady", "ExchangeReady", "IngressReady", "Ready", "SecretReady")
_TRIGGER = ("BrokerReady", "DeadLetterSinkResolved", "DependencyReady", "Ready", "SubscriberResolved")


@dataclass
class Eventing:
    """Makes the Exchange, ingress and dead-letter dispatcher of a Broker, the queue and dispatcher of a Trigger."""

    _objects: Objects

    def broker(self, namespace: str, name: str) -> None:
        broker = self._objects.find(EVENTING, namespace, "brokers", name)
        if broker is not None:
            config = broker["spec"]["config"]
            found = self._objects.find(_CONFIGS, namespace, "rabbitmqbrokerconfigs", config["name"])
            if found is None:
                said = {"reason": "ExchangeCredentialsUnavailable", "message": f"config {config['name']} not found"}
                self._objects.report(
                    EVENTING, "brokers", broker, {"conditions": conditions(_BROKER, {"ExchangeReady": said})}
                )
            else:
                self._make_broker(broker, found["spec"]["rabbitmqClusterReference"])
        for item in self._objects.rest.get(path(EVENTING, namespace, "triggers"))["items"]:
            if item["spec"]["broker"] == name:
                self.trigger(namespace, item["metadata"]["name"])

    def _make_broker(self, broker: Object, cluster: Object) -> None:
        namespace, name, uid = (broker["metadata"][key] for key in ("namespace", "name", "uid"))
        exchange = _child_name(f"b.{namespace}.{name}.", uid)
        marks = {"labels": {"eventing.knative.dev/broker": name}, "ownerReferences": [owner(broker)]}
        spec = {"name": exchange, "type": "headers", "durable": True, "rabbitmqClusterReference": cluster}
        self._topology(namespace, "exchanges", exchange, marks, spec)
        self._objects.deployment(
            namespace, f"{name}-broker-ingress", broker, {"eventing.knative.dev/brokerRole": "ingress"}
        )
        port = {"name": "http", "port": 80, "targetPort": 8080}
        self._objects.keep("v1", namespace, "services", f"{name}-broker-ingress", marks, {"ports": [port]})
        if broker["spec"].get("delivery", {}).get("deadLetterSink"):
            self._objects.deployment(
                namespace, f"{name}-dlq-dispatcher", broker, {"eventing.knative.dev/brokerRole": "dlq"}
            )
        url = f"http://{name}-broker-ingress.{namespace}.svc.cluster.local"
        status = {"address": {"url": url}, "conditions": conditions(_BROKER, {})}
        self._objects.report(EVENTING, "brokers", broker, status)

    def trigger(self, namespace: str, name: str) -> None:
        trigger = self._objects.find(EVENTING, namespace, "triggers", name)
        if trigger is None:
            return
        labels = {"eventing.knative.dev/broker": trigger["spec"]["broker"]}
        if not labels.items() <= trigger["metadata"].get("labels", {}).items():
            self._objects.rest.merge(path(EVENTING, namespace, "triggers", name), {"metadata": {"labels": labels}})
        broker = self._objects.find(EVENTING, namespace, "brokers", trigger["spec"]["broker"])
        subscriber = self._resolve(namespace, trigger["spec"]["subscriber"])
        failed: Object = {}
        if broker is None:
            text = f"Broker {trigger['spec']['broker']} does not exist"
            failed["BrokerReady"] = {"reason": "BrokerDoesNotExist", "message": text}
        elif not is_ready(broker):
            failed["BrokerReady"] = {"reason": "BrokerNotReady", "message": "the Broker is not ready"}
        else:
            failed |= self._queue_of(trigger, broker)
        if subscriber is None:
            failed["SubscriberResolved"] = {"reason": "Unable to get the Subscriber's URI", "message": "not found"}
        if not failed:
            self._objects.deployment(namespace, f"{name}-dispatcher", trigger, labels)
            if trigger["spec"].get("delivery", {}).get("deadLetterSink"):
                self._objects.deployment(namespace, f"{name}-dlx-dispatcher", trigger, labels)
        status: Object = {"conditions": conditions(_TRIGGER, failed)}
        if subscriber:
            status["subscriberUri"] = subscriber
        self._objects.report(EVENTING, "triggers", trigger, status)

    def _queue_of(self, trigger: Object, broker: Object) -> Object:
        """Makes the queue of a Trigger and returns the conditions that fail.

        The name of the queue holds the UID of the Broker and cannot change; the name of its object holds the Trigger's.
        """
        namespace, name, uid = (trigger["metadata"][key] for key in ("namespace", "name", "uid"))
        named = _child_name(f"t.{namespace}.{name}.", uid)
        spec = {"name": f"{namespace}.{name}.{broker['metadata']['uid']}", "type": "quorum", "durable": True}
        marks = {"ownerReferences": [owner(trigger)]}
        found = self._objects.find(RABBITMQ, namespace, "queues", named)
        if found is None:
            config = self._objects.find(_CONFIGS, namespace, "rabbitmqbrokerconfigs", _config(broker))
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
        found = self._objects.find(reference["apiVersion"], within, plural, reference["name"])
        if found is None:
            return None
        if reference["apiVersion"] == "v1":
            return f"http://{reference['name']}.{within}.svc.cluster.local"
        return str(found.get("status", {}).get("address", {}).get("url", "")) or None

    def _topology(self, namespace: str, plural: str, name: str, marks: Object, spec: Object) -> None:
        """Makes an object of RabbitMQ's topology operator, which reports it ready at once."""
        found = self._objects.keep(RABBITMQ, namespace, plural, name, marks, spec)
        self._objects.report(RABBITMQ, plural, found, {"conditions": [condition_of("Ready", "True")]})


def _config(broker: Object) -> str:
    return str(broker["spec"]["config"]["name"])


def _child_name(parent: str, suffix: str) -> str:
    """Returns the name that knative.dev/pkg/kmeta.ChildName makes for a suffix that is a UID."""
    if len(parent) + len(suffix) <= 63:
        return parent + suffix
    digest = md5((parent + suffix).encode(), usedforsecurity=False).hexdigest()
    return (parent[:31] + digest + suffix)[:63].rstrip(".-")
