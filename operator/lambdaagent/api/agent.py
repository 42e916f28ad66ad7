"""The LambdaAgent resource: metadata as far as it is used, spec and status."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from lambdaagent.api.a2a import A2a
from lambdaagent.api.ai import Ai, Approval, Behavior, Memory
from lambdaagent.api.base import ApiModel, ConditionStatus, Name, rules
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.api.eventing import Eventing
from lambdaagent.api.external import External
from lambdaagent.api.operations import Observability, Permissions
from lambdaagent.api.tools import MOST_SERVERS, Tool, ToolServerStatus
from lambdaagent.api.workload import RESERVED_ENV, EnvVar, Image, Resources, Scaling, Serving

_EXTERNAL = {"enabled": True, "protocol": "a2a"}
_SET = "(has(self.external) && has(self.a2a))"


class AgentSpec(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.env) || self.env.all(e, !(e.name in {list(RESERVED_ENV)}))".replace('"', "'"),
                f"env must not set {', '.join(RESERVED_ENV)}: Knative sets them itself",
                "env",
            ),
            ("has(self.image) || has(self.external)", "image is required, unless external is set", "image"),
            (
                "!has(self.image) || !has(self.external)",
                "image must not be set with external: an external agent has no pods",
                "image",
            ),
            (
                f"!{_SET} || !has(self.a2a.protocol) || self.a2a.protocol in ['a2a', 'mcp']",
                "external needs protocol a2a or mcp",
                "a2a.protocol",
            ),
            (
                f"!{_SET} || !has(self.a2a.mode) || self.a2a.mode == 'gateway'",
                "external needs mode gateway: there is no pod for a sidecar",
                "a2a.mode",
            ),
            (
                f"!{_SET} || !has(self.a2a.container)",
                "a2a.container must not be set with external: there is no container",
                "a2a.container",
            ),
            (
                f"!{_SET} || !has(self.a2a.forwardHeaders) || size(self.a2a.forwardHeaders) == 0",
                "forwardHeaders must not be set with external: an external agent gets no header of a caller",
                "a2a.forwardHeaders",
            ),
            (
                f"!{_SET} || !has(self.a2a.skills) || self.a2a.skills.all(s, !has(s.invoke) || !has(s.invoke.mode)"
                " || s.invoke.mode != 'async')",
                "invoke.mode must not be async with external: an external agent takes no events",
                "a2a.skills",
            ),
            (
                f"!{_SET} || !has(self.external.cardUrl) || !has(self.a2a.protocol) || self.a2a.protocol != 'mcp'",
                "cardUrl must not be set with protocol mcp: an MCP server has no agent card",
                "external.cardUrl",
            ),
        )
    )
    image: Annotated[
        Image | None,
        Field(description="Container image of the agent. Required, unless external is set."),
    ] = None
    external: Annotated[
        External | None,
        Field(
            description=(
                "Server elsewhere that is the agent: an A2A server, or with a2a.protocol mcp an MCP server. The agent"
                " has no image and no pods; fields about them have no effect."
            )
        ),
    ] = None
    service_account_name: Annotated[
        Name | None,
        Field(
            description=(
                "Name of the ServiceAccount of the agent's pods, which must exist. Defaults to the namespace's"
                " ServiceAccount `default`."
            )
        ),
    ] = None
    ai: Annotated[
        Ai | None,
        Field(
            description=(
                "Model that the agent uses. The container gets the fields as environment variables, or none of them"
                " if this is not set."
            )
        ),
    ] = None
    behavior: Annotated[
        Behavior | None,
        Field(
            description=(
                "Behavior of the agent, which the container gets as environment variables, and the container's probes."
            )
        ),
    ] = None
    operation_mode: Annotated[
        Literal["agentic", "supervised"],
        Field(
            description=(
                "Whether the agent asks for approval before it acts (supervised) or not (agentic). The container gets"
                " the mode as an environment variable. Defaults to agentic."
            )
        ),
    ] = "agentic"
    approval: Annotated[
        Approval | None,
        Field(
            description=(
                "Where a supervised agent requests approval. The container gets the fields as environment variables."
            )
        ),
    ] = None
    memory: Annotated[
        Memory | None,
        Field(
            description="What the agent remembers, and where. The container gets the fields as environment variables."
        ),
    ] = None
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=512,
            description=(
                "Environment variables of the container. They take precedence over the variables that the operator"
                " sets."
            ),
        ),
    ] = []
    scaling: Annotated[
        Scaling | None,
        Field(description="Number of pods. Defaults to Knative's own scaling; on plain Kubernetes, to one pod."),
    ] = None
    resources: Annotated[Resources | None, Field(description="CPU and memory of the agent's container.")] = None
    serving: Annotated[
        Serving | None, Field(description="Limits of requests, and the distribution of traffic among Revisions.")
    ] = None
    eventing: Annotated[
        Eventing | None,
        Field(description="Events of the agent. If it is not set, the agent neither receives nor forwards events."),
    ] = None
    observability: Annotated[Observability | None, Field(description="Traces, metrics and logs of the agent.")] = None
    permissions: Annotated[Permissions | None, Field(description="What the agent may do.")] = None
    # The alias generator would produce a2A.
    a2a: Annotated[
        A2a | None,
        Field(
            alias="a2a",
            description=(
                "How the agent is presented and called over A2A. If it is not set, the gateway does not serve the"
                " agent."
            ),
        ),
    ] = None
    tools: Annotated[
        list[Tool],
        Field(
            max_length=MOST_SERVERS,
            description="Tools that the agent may use. The container gets them as an environment variable.",
        ),
    ] = []

    @model_validator(mode="before")
    @classmethod
    def _of_external(cls, given: Any) -> Any:
        """Serve an external agent over A2A unless its spec says otherwise."""
        if not isinstance(given, dict) or not given.get("external"):
            return given
        a2a = given.get("a2a")
        return {**given, "a2a": _EXTERNAL | (a2a or {})} if a2a is None or isinstance(a2a, dict) else given

    @property
    def container_image(self) -> Image:
        """The image of the agent's pods. Raises ValueError for an agent without pods."""
        if self.image is None:
            raise ValueError("the agent has no image, and so no pods")
        return self.image


MOST_WARNINGS = 256


class Condition(ApiModel):
    type: Annotated[str, Field(max_length=316)]
    status: ConditionStatus
    observed_generation: Annotated[int | None, Field(ge=0)] = None
    last_transition_time: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    reason: Annotated[str | None, Field(max_length=1024)] = None
    message: Annotated[str | None, Field(max_length=32768)] = None


class FieldWarning(ApiModel):
    """A field that is accepted but has no effect, only a part of it, or another effect in this installation."""

    field: Annotated[str, Field(max_length=1024)]
    reason: Annotated[str, Field(max_length=256)]
    message: Annotated[str, Field(max_length=4096)]


class ServiceStatus(ApiModel):
    service_name: str | None = None
    url: str | None = None
    ready: bool | None = None
    latest_revision: str | None = None


class EventingStatus(ApiModel):
    broker_name: str | None = None
    broker_ready: bool | None = None
    broker_url: str | None = None
    trigger_count: int | None = None
    forward_count: int | None = None


class A2aStatus(ApiModel):
    service_name: str | None = None
    url: str | None = None
    card_url: str | None = None
    # The version that serves, which is not the newest one while that is not ready.
    version: Annotated[str | None, Field(max_length=256)] = None
    container_card: ContainerCard | None = None


class AiStatus(ApiModel):
    provider: str | None = None
    endpoint: str | None = None
    active_model: str | None = None
    model_available: bool | None = None
    error: str | None = None


class PermissionStatus(ApiModel):
    broker_creation_disabled: bool | None = None
    trigger_creation_disabled: bool | None = None
    function_creation_disabled: bool | None = None


class AgentStatus(ApiModel):
    phase: Literal["Pending", "Deploying", "Ready", "Failed", "Deleting"] | None = None
    observed_generation: Annotated[int | None, Field(ge=0)] = None
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    ] = []
    warnings: Annotated[list[FieldWarning], Field(max_length=MOST_WARNINGS)] = []
    service_status: ServiceStatus | None = None
    eventing_status: EventingStatus | None = None
    a2a_status: Annotated[A2aStatus | None, Field(alias="a2aStatus")] = None
    ai_status: AiStatus | None = None
    permission_status: PermissionStatus | None = None
    tools: Annotated[list[ToolServerStatus], Field(max_length=MOST_SERVERS)] = []

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)


class Metadata(ApiModel):
    """The part of the metadata that decisions depend on. The raw object has the rest."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Annotated[datetime | None, Field(strict=False)] = None
    deletion_timestamp: Annotated[datetime | None, Field(strict=False)] = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []


class LambdaAgent(ApiModel):
    """One agent. `LambdaAgent.model_validate(obj)` parses an object from the API server or a YAML file."""

    metadata: Metadata
    spec: AgentSpec
    status: AgentStatus = AgentStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def external(self) -> External | None:
        """The server elsewhere that the agent is; None for an agent with pods."""
        return self.spec.external

    @property
    def key(self) -> str:
        """`namespace/name`, as in logs."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


def parse(obj: dict[str, Any]) -> LambdaAgent:
    """Parse an object. Raises pydantic.ValidationError if it breaks the API's schema."""
    return LambdaAgent.model_validate(obj)
