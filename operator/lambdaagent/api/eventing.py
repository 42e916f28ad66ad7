"""The events an agent takes, emits and forwards."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import DNS_1035, ApiModel, EventType, IsoDuration, Name, Namespace, rules

AgentName = Annotated[str, Field(pattern=DNS_1035, max_length=63)]


class Subscription(ApiModel):
    event_type: Annotated[EventType, Field(description="Exact CloudEvents type.")]
    source: Annotated[str | None, Field(max_length=1024, description="Exact CloudEvents source; absent: any.")] = None
    description: Annotated[str | None, Field(max_length=4096)] = None


class Forward(ApiModel):
    event_types: Annotated[list[EventType], Field(min_length=1, max_length=512)]
    target_agent: AgentName
    target_namespace: Namespace
    description: Annotated[str | None, Field(max_length=4096)] = None


class DeadLetterQueue(ApiModel):
    enabled: bool = True
    retry_max_attempts: Annotated[int, Field(ge=0, le=100)] = 3


class RabbitmqCluster(ApiModel):
    cluster_name: Name = "rabbitmq-cluster-knative-lambda"
    namespace: Namespace = "knative-lambda"


class BrokerChoice(ApiModel):
    name: Annotated[
        str | None,
        # `<broker>-broker-ingress` is a Service name, so at most 48 are left.
        Field(pattern=DNS_1035, max_length=48, description="Default: the namespace's shared Broker."),
    ] = None
    dedicated: Annotated[bool, Field(description="true: a Broker of this agent's own.")] = False


class Delivery(ApiModel):
    retry: Annotated[int | None, Field(ge=0, le=100)] = None
    backoff_policy: Literal["linear", "exponential"] | None = None
    backoff_delay: IsoDuration | None = None
    timeout: IsoDuration | None = None


class Eventing(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.broker) || !has(self.broker.name) || self.broker.name == '' || !self.broker.dedicated",
                "broker.name is for shared Brokers; a dedicated one is named by the operator",
            )
        )
    )
    enabled: bool = True
    event_source: Annotated[
        str | None, Field(max_length=1024, description="The `source` of events that the agent emits.")
    ] = None
    intents: Annotated[list[EventType], Field(max_length=512, description="Types that the agent emits.")] = []
    subscriptions: Annotated[list[Subscription], Field(max_length=512)] = []
    forwards: Annotated[list[Forward], Field(max_length=128)] = []
    dlq: DeadLetterQueue | None = None
    rabbitmq: RabbitmqCluster | None = None
    broker: BrokerChoice | None = None
    delivery: Delivery | None = None
    parallelism: Annotated[int, Field(ge=1, le=1000, description="Deliveries at once; 1 keeps the order.")] = 1
    accept_forwards_from: Annotated[
        list[Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", max_length=63)]] | None,
        Field(max_length=256, description="Namespaces whose agents may forward here; absent: any."),
    ] = None
