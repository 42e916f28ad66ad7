"""The fields about events that an agent takes, emits and forwards."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import DNS_1035, ApiModel, EventType, IsoDuration, Name, Namespace, rules

AgentName = Annotated[str, Field(pattern=DNS_1035, max_length=63)]


class Subscription(ApiModel):
    event_type: Annotated[
        EventType,
        Field(description="CloudEvents type; on plain RabbitMQ with '*' and '?', which match nothing on Knative."),
    ]
    source: Annotated[
        str | None,
        Field(max_length=1024, description="CloudEvents source, with '*' and '?' as in the type; default: any."),
    ] = None
    description: Annotated[str | None, Field(max_length=4096, description="For readers; stands at the Trigger.")] = None


class Forward(ApiModel):
    event_types: Annotated[
        list[EventType], Field(min_length=1, max_length=512, description="Exact types that are forwarded.")
    ]
    target_agent: Annotated[AgentName, Field(description="Name of the agent whose Broker gets them.")]
    target_namespace: Annotated[
        Namespace,
        Field(description="Its namespace; another than the agent's own stands in permissions.allowedTargetNamespaces."),
    ]
    description: Annotated[str | None, Field(max_length=4096, description="For readers; stands at the Triggers.")] = (
        None
    )


class DeadLetterQueue(ApiModel):
    enabled: Annotated[bool, Field(description="false: what cannot be delivered is dropped.")] = True
    retry_max_attempts: Annotated[
        int, Field(ge=0, le=100, description="Attempts after the first one; delivery.retry wins.")
    ] = 3


class RabbitmqCluster(ApiModel):
    cluster_name: Annotated[Name, Field(description="Name of the RabbitmqCluster.")] = "rabbitmq-cluster-knative-lambda"
    namespace: Annotated[Namespace, Field(description="Namespace of the RabbitmqCluster, or of the Secret.")] = (
        "knative-lambda"
    )
    connection_secret: Annotated[
        Name | None,
        Field(
            description="For a RabbitMQ that no cluster operator runs, in place of clusterName: name of a Secret with "
            "uri (of the management API), username, password and perhaps port, which has the label "
            "rabbitmq.com/topology-operator: 'true'."
        ),
    ] = None


class BrokerChoice(ApiModel):
    name: Annotated[
        str | None,
        # `<broker>-broker-ingress` is the name of a Service, which leaves 48 characters.
        Field(pattern=DNS_1035, max_length=48, description="Name of a shared Broker; default: the namespace's own."),
    ] = None
    dedicated: Annotated[bool, Field(description="true: a Broker of this agent's own.")] = False


class Delivery(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.timeout) || self.timeout.matches('[1-9]')", "timeout must be longer than zero", "timeout")
        )
    )
    retry: Annotated[
        int | None,
        Field(ge=0, le=100, description="Attempts after the first one; default: dlq.retryMaxAttempts, else 3."),
    ] = None
    backoff_policy: Annotated[
        Literal["linear", "exponential"] | None, Field(description="How waits grow; default: exponential.")
    ] = None
    backoff_delay: Annotated[
        IsoDuration | None,
        Field(description="First wait, ISO 8601 in tenths of a second, such as PT0.5S; default: PT1S."),
    ] = None
    timeout: Annotated[
        IsoDuration | None,
        Field(description="Time for the agent's answer, ISO 8601; default: none but the agent's own."),
    ] = None


class Eventing(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.broker) || !has(self.broker.name) || self.broker.name == '' || !self.broker.dedicated",
                "broker.name is for shared Brokers; a dedicated one is named by the operator",
                "broker",
            )
        )
    )
    enabled: Annotated[bool, Field(description="false: no Broker and no Triggers.")] = True
    event_source: Annotated[
        str | None,
        Field(max_length=1024, description="The `source` of events that the agent emits; default: not said."),
    ] = None
    intents: Annotated[
        list[EventType],
        Field(max_length=512, description="Types that the agent emits; a subscription to one of them is warned of."),
    ] = []
    subscriptions: Annotated[list[Subscription], Field(max_length=512, description="Events that the agent gets.")] = []
    forwards: Annotated[
        list[Forward], Field(max_length=128, description="Events of this agent's Broker that other agents get as well.")
    ] = []
    dlq: Annotated[DeadLetterQueue | None, Field(description="What becomes of events that cannot be delivered.")] = None
    rabbitmq: Annotated[
        RabbitmqCluster | None, Field(description="RabbitMQ behind the Broker; default: the installation's.")
    ] = None
    broker: Annotated[
        BrokerChoice | None, Field(description="The agent's Broker; default: the one that its namespace shares.")
    ] = None
    delivery: Annotated[
        Delivery | None, Field(description="How events are delivered; default: the installation's settings.")
    ] = None
    parallelism: Annotated[
        int, Field(ge=1, le=1000, description="Deliveries at once per subscription; 1 keeps the order.")
    ] = 1
    skip_own: Annotated[
        bool,
        Field(description="true: events of the agent's own eventSource do not come back to it; on plain RabbitMQ."),
    ] = False
    accept_forwards_from: Annotated[
        list[Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", max_length=63)]] | None,
        Field(max_length=256, description="Namespaces whose agents may forward here, '*': all; default: all."),
    ] = None
