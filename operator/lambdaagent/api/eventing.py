"""The fields about events that an agent takes, emits and forwards."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import DNS_1035, ApiModel, EventType, IsoDuration, Name, Namespace, rules

AgentName = Annotated[str, Field(pattern=DNS_1035, max_length=63)]


class Subscription(ApiModel):
    event_type: Annotated[
        EventType,
        Field(
            description=(
                "CloudEvents type of the events. On plain RabbitMQ it may contain '*' (any characters) and '?' (one"
                " character). On Knative, which matches exact types only, such a subscription gets no Trigger."
            )
        ),
    ]
    source: Annotated[
        str | None,
        Field(
            max_length=1024,
            description="CloudEvents source of the events, with '*' and '?' as in eventType. Defaults to any source.",
        ),
    ] = None
    description: Annotated[
        str | None,
        Field(max_length=4096, description="Description for readers. It becomes an annotation of the Trigger."),
    ] = None


class Forward(ApiModel):
    event_types: Annotated[
        list[EventType],
        Field(
            min_length=1,
            max_length=512,
            description="CloudEvents types of the events that are forwarded, without '*' and '?'.",
        ),
    ]
    target_agent: Annotated[AgentName, Field(description="Name of the agent whose Broker receives the events.")]
    target_namespace: Annotated[
        Namespace,
        Field(
            description=(
                "Namespace of the target agent. Unless it is the agent's own, permissions.allowedTargetNamespaces"
                " must allow it."
            )
        ),
    ]
    description: Annotated[
        str | None,
        Field(max_length=4096, description="Description for readers. It becomes an annotation of the Triggers."),
    ] = None


class DeadLetterQueue(ApiModel):
    enabled: Annotated[
        bool, Field(description="If false, events that cannot be delivered are dropped. Defaults to true.")
    ] = True
    retry_max_attempts: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description=(
                "Maximum number of attempts after the first one. delivery.retry takes precedence. Defaults to 3."
            ),
        ),
    ] = 3


class RabbitmqCluster(ApiModel):
    cluster_name: Annotated[
        Name, Field(description="Name of the RabbitmqCluster. Defaults to rabbitmq-cluster-knative-lambda.")
    ] = "rabbitmq-cluster-knative-lambda"
    namespace: Annotated[
        Namespace, Field(description="Namespace of the RabbitmqCluster, or of the Secret. Defaults to knative-lambda.")
    ] = "knative-lambda"
    connection_secret: Annotated[
        Name | None,
        Field(
            description=(
                "Name of a Secret, in place of clusterName, for a RabbitMQ that the cluster operator does not manage."
                " The Secret has the keys uri (of the management API), username, password and optionally port, and the"
                " label rabbitmq.com/topology-operator: 'true'."
            )
        ),
    ] = None


class BrokerChoice(ApiModel):
    name: Annotated[
        str | None,
        # `<broker>-broker-ingress` is the name of a Service, which leaves 48 characters.
        Field(
            pattern=DNS_1035,
            max_length=48,
            description="Name of a shared Broker. Defaults to the Broker that the agents of the namespace share.",
        ),
    ] = None
    dedicated: Annotated[bool, Field(description="If true, the agent has a Broker of its own. Defaults to false.")] = (
        False
    )


class Delivery(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.timeout) || self.timeout.matches('[1-9]')", "timeout must be longer than zero", "timeout")
        )
    )
    retry: Annotated[
        int | None,
        Field(
            ge=0,
            le=100,
            description=(
                "Maximum number of attempts after the first one. Defaults to dlq.retryMaxAttempts, or to the"
                " installation's setting (3) if dlq is not set."
            ),
        ),
    ] = None
    backoff_policy: Annotated[
        Literal["linear", "exponential"] | None,
        Field(description="How the wait between attempts grows. Defaults to exponential."),
    ] = None
    backoff_delay: Annotated[
        IsoDuration | None,
        Field(
            description=(
                "Wait before the second attempt, as an ISO 8601 duration in tenths of a second, such as PT0.5S."
                " Defaults to the installation's setting (PT1S)."
            )
        ),
    ] = None
    timeout: Annotated[
        IsoDuration | None,
        Field(
            description=(
                "Maximum time for the agent's response, as an ISO 8601 duration. By default only the agent's own"
                " limit applies (serving.timeoutSeconds)."
            )
        ),
    ] = None


class Eventing(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.broker) || !has(self.broker.name) || self.broker.name == '' || !self.broker.dedicated",
                "broker.name must not be set for a dedicated Broker, which the operator names",
                "broker",
            )
        )
    )
    enabled: Annotated[
        bool,
        Field(
            description=(
                "If false, the agent has no Broker and no Triggers, and on plain RabbitMQ no queue. Defaults to true."
            )
        ),
    ] = True
    event_source: Annotated[
        str | None,
        Field(
            max_length=1024,
            description=(
                "CloudEvents source of the events that the agent emits. If it is not set, the container gets none."
            ),
        ),
    ] = None
    intents: Annotated[
        list[EventType],
        Field(
            max_length=512,
            description=(
                "CloudEvents types of the events that the agent emits. A warning reports a type to which the agent"
                " itself subscribes, and a type without a subscriber."
            ),
        ),
    ] = []
    subscriptions: Annotated[
        list[Subscription], Field(max_length=512, description="Events that the agent receives.")
    ] = []
    forwards: Annotated[
        list[Forward],
        Field(max_length=128, description="Events of the agent's Broker that other agents receive as well."),
    ] = []
    dlq: Annotated[DeadLetterQueue | None, Field(description="Handling of events that cannot be delivered.")] = None
    rabbitmq: Annotated[
        RabbitmqCluster | None, Field(description="RabbitMQ behind the Broker. Defaults to the installation's.")
    ] = None
    broker: Annotated[
        BrokerChoice | None,
        Field(description="Broker of the agent. Defaults to the Broker that the agents of the namespace share."),
    ] = None
    delivery: Annotated[
        Delivery | None, Field(description="How events are delivered. Defaults to the installation's settings.")
    ] = None
    parallelism: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description=(
                "Maximum number of deliveries at the same time, per subscription on Knative and per agent on plain"
                " RabbitMQ. 1 preserves the order of events. Defaults to 1."
            ),
        ),
    ] = 1
    skip_own: Annotated[
        bool,
        Field(
            description=(
                "If true, the agent does not receive events whose source is its own eventSource. On plain RabbitMQ"
                " only. Defaults to false."
            )
        ),
    ] = False
    accept_forwards_from: Annotated[
        list[Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", max_length=63)]] | None,
        Field(
            max_length=256,
            description=(
                "Namespaces whose agents may forward events to this agent; '*' means all. Defaults to all; an empty"
                " list means none."
            ),
        ),
    ] = None
