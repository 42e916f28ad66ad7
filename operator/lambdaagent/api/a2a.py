"""The fields of an agent that describe how it is presented and called over A2A (design section 4), and its tools."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from lambdaagent.api.base import DNS_LABEL, EXTENSION_URI, HTTP_URL, ApiModel, EventType, rules

# First path segments that the gateway serves itself if an agent has a host of its own.
RESERVED_PATHS = (".well-known", "agents", "events", "healthz", "readyz", "metrics")
Mode = Annotated[str, Field(min_length=1, max_length=256)]


class Invoke(ApiModel):
    event_type: Annotated[
        EventType | None,
        Field(
            description="Type of the event that calls the container; default: io.knative.lambda.invoke.sync or .async."
        ),
    ] = None
    reply_type: Annotated[
        EventType | None,
        Field(description="Type of the agent's event that ends a task; default: only the common ones."),
    ] = None
    path: Annotated[
        str | None,
        Field(
            pattern=r"^/",
            max_length=1024,
            description="Path of the call with protocol http; default: {basePath}/skills/{id}.",
        ),
    ] = None
    text_field: Annotated[
        str | None,
        Field(min_length=1, max_length=256, description="Key of the text in the call's JSON; default: text."),
    ] = None
    mode: Annotated[
        Literal["sync", "async"], Field(description="async: the call travels as an event, through the agent's Broker.")
    ] = "sync"
    timeout_seconds: Annotated[
        int, Field(ge=1, le=86400, description="Time for the answer, and for a task to end.")
    ] = 300
    idempotent: Annotated[bool, Field(description="true: a call may be repeated when a gateway dies.")] = False


class Skill(ApiModel):
    id: Annotated[str, Field(pattern=DNS_LABEL, max_length=63, description="Stands in URLs: a DNS label; each once.")]
    name: Annotated[str, Field(min_length=1, max_length=256, description="Name for people.")]
    description: Annotated[str, Field(max_length=4096, description="What the skill does; default: its name.")] = ""
    tags: Annotated[
        list[Annotated[str, Field(max_length=256)]], Field(max_length=64, description="Words to find it by.")
    ] = []
    examples: Annotated[
        list[Annotated[str, Field(max_length=4096)]], Field(max_length=64, description="What one may ask of it.")
    ] = []
    input_modes: Annotated[
        list[Mode], Field(max_length=32, description="Media types that it takes; text and json for short.")
    ] = ["text"]
    output_modes: Annotated[
        list[Mode], Field(max_length=32, description="Media types that it gives; text and json for short.")
    ] = ["text"]
    invoke: Annotated[Invoke | None, Field(description="How the container is called for this skill.")] = None


class Capabilities(ApiModel):
    streaming: Annotated[bool, Field(description="false: no streaming, and the card says so.")] = True
    push_notifications: Annotated[bool, Field(description="false: no push notifications, and the card says so.")] = True


class Extension(ApiModel):
    uri: Annotated[
        str,
        Field(
            pattern=EXTENSION_URI,
            max_length=1024,
            description="URI of the extension; a client names it in the header A2A-Extensions.",
        ),
    ]
    description: Annotated[str, Field(max_length=4096, description="How the agent uses the extension.")] = ""
    required: Annotated[
        bool, Field(description="true: a message of a client that does not name the extension is refused.")
    ] = False
    params: Annotated[
        dict[str, JsonValue],
        Field(
            description="Parameters of the extension; any JSON object.",
            json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ] = {}


class Provider(ApiModel):
    organization: Annotated[str, Field(min_length=1, max_length=256, description="Who provides the agent.")]
    url: Annotated[str, Field(pattern=HTTP_URL, max_length=2048, description="Where to read about them.")]


class Endpoint(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.basePath) || !(self.basePath.split('/')[1] in {list(RESERVED_PATHS)})".replace('"', "'"),
                f"basePath must not begin with a path of the gateway's own ({', '.join(RESERVED_PATHS)})",
                "basePath",
            )
        )
    )
    base_path: Annotated[
        str,
        Field(
            pattern=r"^(/[A-Za-z0-9_.~-]+)+$", max_length=256, description="Path of the A2A endpoint at the gateway."
        ),
    ] = "/api/a2a"
    discovery_enabled: Annotated[bool, Field(description="false: no cards, not in the catalogue, still callable.")] = (
        True
    )


class ContainerEndpoint(ApiModel):
    path: Annotated[
        str, Field(max_length=1024, description="Path of the container's own A2A endpoint; default: as its card says.")
    ] = ""
    card_path: Annotated[
        str,
        Field(
            pattern=r"^(/[!-~]*)?$",
            max_length=1024,
            description=(
                "Path of the container's card; default: .well-known/agent-card.json or .well-known/agent.json, below"
                " path and at the root. Neither is needed where path and version are given."
            ),
        ),
    ] = ""
    version: Annotated[Literal["auto", "1.0", "0.3"], Field(description="A2A version to speak with the container.")] = (
        "auto"
    )


class A2a(ApiModel):
    enabled: Annotated[bool, Field(description="true: the gateway serves the agent.")] = False
    mode: Annotated[
        Literal["gateway", "sidecar"], Field(description="sidecar: a gateway in each pod of the agent, in front of it.")
    ] = "gateway"
    protocol: Annotated[
        Literal["cloudevents", "http", "a2a"],
        Field(description="How the container is spoken to; a2a: it is an A2A server itself."),
    ] = "cloudevents"
    container: Annotated[
        ContainerEndpoint | None, Field(description="The container's own endpoint, with protocol a2a.")
    ] = None
    protocol_versions: Annotated[
        list[Literal["1.0", "0.3"]], Field(min_length=1, max_length=2, description="A2A versions that are offered.")
    ] = ["1.0", "0.3"]
    description: Annotated[
        str, Field(max_length=4096, description="What the agent does; default: its skills' descriptions.")
    ] = ""
    version: Annotated[
        str, Field(max_length=256, description="Version of the agent; default: the image's tag, else its digest.")
    ] = ""
    capabilities: Annotated[Capabilities | None, Field(description="What of A2A is offered; default: all of it.")] = (
        None
    )
    extensions: Annotated[
        list[Extension],
        Field(
            max_length=32,
            description="Extensions of the protocol that the agent supports; the cards declare them.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uri"]},
        ),
    ] = []
    provider: Annotated[Provider | None, Field(description="Who provides the agent; default: not said.")] = None
    documentation_url: Annotated[
        str, Field(pattern=r"^(https?://\S+)?$", max_length=2048, description="Where to read on; default: not said.")
    ] = ""
    icon_url: Annotated[
        str, Field(pattern=r"^(https?://\S+|data:\S+)?$", max_length=2048, description="An icon; default: none.")
    ] = ""
    enforce_modes: Annotated[bool, Field(description="true: a part outside a skill's inputModes is refused.")] = False
    max_concurrent_tasks: Annotated[
        int | None,
        Field(
            ge=1,
            le=10_000,
            description="Tasks that the agent works on at once, per gateway replica; a bounded number more wait.",
        ),
    ] = None
    deduplicate_messages: Annotated[
        bool,
        Field(description="true: a messageId that a caller sends again is the same request."),
    ] = False
    endpoint: Annotated[Endpoint | None, Field(description="Where the agent is found at the gateway.")] = None
    skills: Annotated[
        list[Skill],
        Field(
            max_length=128,
            description="What the agent can be asked for.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        ),
    ] = []

    @property
    def base_path(self) -> str:
        return self.endpoint.base_path if self.endpoint else "/api/a2a"

    @property
    def discoverable(self) -> bool:
        return self.enabled and (self.endpoint is None or self.endpoint.discovery_enabled)


class McpServer(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=256, description="Name of the server.")]
    endpoint: Annotated[str, Field(pattern=HTTP_URL, max_length=2048, description="URL of the server.")]
    tool_names: Annotated[
        list[Annotated[str, Field(max_length=256)]],
        Field(max_length=512, description="Tools of it that the agent may use; default: all."),
    ] = []


class Tool(ApiModel):
    type: Annotated[Literal["mcp"], Field(description="Kind of the tool; mcp is the only one.")] = "mcp"
    mcp_server: Annotated[McpServer, Field(description="The MCP server that has the tools.")]
