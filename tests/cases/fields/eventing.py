"""Fields of the events that an agent takes and sends."""

from typing import Any

from tests.cases.effects import Child, Env, Forwarded, Queue, Warned
from tests.cases.fields.rows import FORWARD, row

from lambdaagent.children.warning_reasons import WarningReason

_SUBSCRIBED: dict[str, Any] = {"eventing": {"subscriptions": [{"eventType": "a"}]}}
_FORWARDING: dict[str, Any] = {
    "eventing": {"forwards": [FORWARD]},
    "permissions": {"allowedTargetNamespaces": ["finance"]},
}
_BROKER = "RabbitmqBrokerConfig"


def _forwarded(path: str, becomes: Any) -> Child:
    return Child("Trigger", path, becomes, of="-to-")


EVENTING = [
    row(
        "eventing.enabled",
        False,
        Child("Broker", "kind", None),
        Child("Trigger", "kind", None),
        **_SUBSCRIBED,
    ),
    row("eventing.eventSource", "/me", Env("EVENT_SOURCE")),
    row("eventing.intents", ["a"], Warned(WarningReason.SELF_LOOP, field="eventing.subscriptions[]"), **_SUBSCRIBED),
    row(
        "eventing.subscriptions[].eventType",
        "c",
        Child("Trigger", "spec/filter/attributes/type"),
        Queue("bindings", ({"type": "c"},)),
        **_SUBSCRIBED,
    ),
    row(
        "eventing.subscriptions[].source",
        "/s",
        Child("Trigger", "spec/filter/attributes/source"),
        Queue("bindings", ({"type": "a", "source": "/s"},)),
        **_SUBSCRIBED,
    ),
    row(
        "eventing.subscriptions[].description",
        "Why.",
        Child("Trigger", "metadata/annotations/lambda.knative.io~description"),
        **_SUBSCRIBED,
    ),
    row("eventing.forwards[].eventTypes", ["c"], _forwarded("spec/filter/attributes/type", "c"), **_FORWARDING),
    row(
        "eventing.forwards[].targetAgent",
        "nobody",
        Forwarded(["TargetNotFound"]),
        Child("Trigger", "spec/subscriber/ref/name", None, of="-to-"),
        **_FORWARDING,
    ),
    row(
        "eventing.forwards[].targetNamespace",
        "ai",
        Forwarded(["TargetNotFound"]),
        Child("Trigger", "spec/subscriber/ref/namespace", None, of="-to-"),
        **_FORWARDING,
    ),
    row(
        "eventing.forwards[].description",
        "Why.",
        _forwarded("metadata/annotations/lambda.knative.io~description", "Why."),
        **_FORWARDING,
    ),
    row(
        "eventing.dlq.enabled",
        False,
        Child("Trigger", "spec/delivery/deadLetterSink", None),
        eventing={"subscriptions": [{"eventType": "a"}], "delivery": {"backoffDelay": "PT2S"}},
    ),
    row(
        "eventing.dlq.retryMaxAttempts",
        9,
        Child("Broker", "spec/delivery/retry"),
        Queue("policy/retry"),
        **_SUBSCRIBED,
    ),
    row("eventing.rabbitmq.clusterName", "big", Child(_BROKER, "spec/rabbitmqClusterReference/name")),
    row(
        "eventing.rabbitmq.connectionSecret",
        "outside",
        Child(_BROKER, "spec/rabbitmqClusterReference/connectionSecret/name"),
    ),
    row("eventing.rabbitmq.namespace", "far", Child(_BROKER, "spec/rabbitmqClusterReference/namespace")),
    row("eventing.broker.name", "ours", Child("Broker", "metadata/name"), Queue("exchange", "lambdaagent.ai.ours")),
    row("eventing.broker.dedicated", True, Child("Broker", "metadata/name", "agent-dedicated")),
    row("eventing.delivery.retry", 9, Child("Broker", "spec/delivery/retry"), Queue("policy/retry"), **_SUBSCRIBED),
    row(
        "eventing.delivery.backoffPolicy",
        "linear",
        Child("Trigger", "spec/delivery/backoffPolicy"),
        Queue("policy/backoff"),
        **_SUBSCRIBED,
    ),
    row(
        "eventing.delivery.backoffDelay",
        "PT9S",
        Child("Trigger", "spec/delivery/backoffDelay"),
        Queue("policy/delay", 9.0),
        **_SUBSCRIBED,
    ),
    row(
        "eventing.delivery.timeout",
        "PT9S",
        Child("Trigger", "spec/delivery/timeout"),
        Queue("policy/timeout", 9.0),
        **_SUBSCRIBED,
    ),
    row(
        "eventing.parallelism",
        4,
        Child("Trigger", "metadata/annotations/rabbitmq.eventing.knative.dev~parallelism", "4"),
        Queue("parallelism"),
        **_SUBSCRIBED,
    ),
    row(
        "eventing.skipOwn",
        True,
        Queue("interest/own", "/mine"),
        Warned(WarningReason.OWN_EVENTS),
        eventing={"eventSource": "/mine", "subscriptions": [{"eventType": "a"}]},
    ),
    row("eventing.acceptForwardsFrom", ["other"], Forwarded(["NotAcceptedByTarget"], theirs=True)),
]
