"""The fields of an agent that describe how it is presented and called over A2A."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from lambdaagent.api.access import Access, CallerLimits, ForwardHeader
from lambdaagent.api.base import EXTENSION_URI, HTTP_URL, ApiModel, rules, without_default
from lambdaagent.api.skills import Skill

# First path segments that the gateway serves itself if an agent has a host of its own.
RESERVED_PATHS = (".well-known", "agents", "events", "healthz", "readyz", "metrics")


class Capabilities(ApiModel):
    streaming: Annotated[
        bool,
        Field(
            description=(
                "If false, the gateway refuses streaming operations, and the agent card declares no streaming."
                " Defaults to true."
            )
        ),
    ] = True
    push_notifications: Annotated[
        bool,
        Field(
            description=(
                "If false, the gateway refuses push notifications, and the agent card declares none. Defaults to true."
            )
        ),
    ] = True


class Extension(ApiModel):
    uri: Annotated[
        str,
        Field(
            pattern=EXTENSION_URI,
            max_length=1024,
            description=(
                "URI of the extension. A client requests the extension by this URI in the header A2A-Extensions."
            ),
        ),
    ]
    description: Annotated[str, Field(max_length=4096, description="How the agent uses the extension.")] = ""
    required: Annotated[
        bool,
        Field(
            description=(
                "If true, messages of clients that do not request the extension are refused. Defaults to false."
            )
        ),
    ] = False
    params: Annotated[
        dict[str, JsonValue],
        Field(
            description="Parameters of the extension, as any JSON object.",
            json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ] = {}


class Provider(ApiModel):
    organization: Annotated[
        str, Field(min_length=1, max_length=256, description="Name of the organization that provides the agent.")
    ]
    url: Annotated[
        str, Field(pattern=HTTP_URL, max_length=2048, description="URL of information about the organization.")
    ]


class Endpoint(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.basePath) || !(self.basePath.split('/')[1] in {list(RESERVED_PATHS)})".replace('"', "'"),
                f"basePath must not begin with a path that the gateway itself serves ({', '.join(RESERVED_PATHS)})",
                "basePath",
            )
        )
    )
    base_path: Annotated[
        str,
        Field(
            pattern=r"^(/[A-Za-z0-9_.~-]+)+$",
            max_length=256,
            description="Path of the agent's A2A endpoint at the gateway. Defaults to /api/a2a.",
        ),
    ] = "/api/a2a"
    discovery_enabled: Annotated[
        bool,
        Field(
            description=(
                "If false, the agent has no agent card and is not in the catalogue, but can still be called. Defaults"
                " to true."
            )
        ),
    ] = True


class ContainerEndpoint(ApiModel):
    path: Annotated[
        str,
        Field(
            max_length=1024,
            description=(
                "Path of the container's endpoint. Defaults to the path in the container's agent card with protocol"
                " a2a, and to /mcp with protocol mcp."
            ),
        ),
    ] = ""
    card_path: Annotated[
        str,
        Field(
            pattern=r"^(/[!-~]*)?$",
            max_length=1024,
            description=(
                "Path of the container's agent card. Defaults to .well-known/agent-card.json or"
                " .well-known/agent.json, below path and then at the root. The container needs no card if path is set"
                " and version is not auto."
            ),
        ),
    ] = ""
    version: Annotated[
        Literal["auto", "1.0", "0.3"],
        Field(
            description=(
                "A2A version of the requests to the container. auto means 1.0 if the container's agent card offers"
                " it, else 0.3. Defaults to auto."
            )
        ),
    ] = "auto"


class A2a(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(has(self.mode) && self.mode == 'sidecar' && has(self.access) && has(self.access.identity)"
                " && self.access.identity == 'assertion')",
                "identity assertion needs mode gateway: a sidecar has no key to sign with",
                "access",
            ),
        )
    )
    # The CRD has no default of these two fields: theirs depends on `external` (`AgentSpec`).
    enabled: Annotated[
        bool,
        Field(
            description="If true, the gateway serves the agent. Defaults to false, and with external to true.",
            json_schema_extra=without_default,
        ),
    ] = False
    mode: Annotated[
        Literal["gateway", "sidecar"],
        Field(
            description=(
                "Gateway that serves the agent: that of the installation (gateway), or one in each pod of the agent,"
                " in front of its container (sidecar). Defaults to gateway."
            )
        ),
    ] = "gateway"
    protocol: Annotated[
        Literal["cloudevents", "http", "a2a", "mcp"],
        Field(
            description=(
                "Protocol of the requests to the container. a2a means that the container is an A2A server itself, mcp"
                " that it is an MCP server, whose tools are the agent's skills. Defaults to cloudevents, and with"
                " external to a2a."
            ),
            json_schema_extra=without_default,
        ),
    ] = "cloudevents"
    container: Annotated[
        ContainerEndpoint | None, Field(description="Endpoint of the container, with protocol a2a or mcp.")
    ] = None
    protocol_versions: Annotated[
        list[Literal["1.0", "0.3"]],
        Field(
            min_length=1,
            max_length=2,
            description=(
                "A2A versions that the agent offers. Requests of other versions are refused. Defaults to 1.0 and 0.3."
            ),
        ),
    ] = ["1.0", "0.3"]
    description: Annotated[
        str,
        Field(
            max_length=4096,
            description=(
                "What the agent does. Defaults to the description in the container's agent card with protocol a2a,"
                " else to the descriptions of the skills."
            ),
        ),
    ] = ""
    version: Annotated[
        str,
        Field(
            max_length=256,
            description=(
                "Version of the agent. Defaults to the version in the container's agent card with protocol a2a, else"
                " to image.tag, or to the beginning of image.digest if only the digest is set."
            ),
        ),
    ] = ""
    capabilities: Annotated[
        Capabilities | None,
        Field(description="Optional A2A capabilities that the agent offers. Defaults to all of them."),
    ] = None
    extensions: Annotated[
        list[Extension],
        Field(
            max_length=32,
            description=(
                "A2A protocol extensions that the agent supports. The agent cards declare them. Defaults to those in"
                " the container's agent card with protocol a2a."
            ),
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uri"]},
        ),
    ] = []
    provider: Annotated[
        Provider | None,
        Field(description="Organization that provides the agent. If it is not set, the agent card names none."),
    ] = None
    documentation_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://\S+)?$",
            max_length=2048,
            description="URL of the agent's documentation. If it is not set, the agent card has none.",
        ),
    ] = ""
    icon_url: Annotated[
        str,
        Field(
            pattern=r"^(https?://\S+|data:\S+)?$",
            max_length=2048,
            description="URL of the agent's icon (http, https or data). If it is not set, the agent card has none.",
        ),
    ] = ""
    enforce_modes: Annotated[
        bool,
        Field(
            description=(
                "If true, a message is refused if the media type of one of its parts is not among the skill's"
                " inputModes. Defaults to false."
            )
        ),
    ] = False
    max_concurrent_tasks: Annotated[
        int | None,
        Field(
            ge=1,
            le=10_000,
            description=(
                "Maximum number of tasks that the agent works on at the same time, per gateway replica. Up to 100"
                " further tasks wait; more are refused. No limit by default."
            ),
        ),
    ] = None
    deduplicate_messages: Annotated[
        bool,
        Field(
            description=(
                "If true, a message whose messageId the same caller has used before is treated as a repetition of the"
                " earlier request. Defaults to false."
            )
        ),
    ] = False
    endpoint: Annotated[Endpoint | None, Field(description="Path and discovery of the agent at the gateway.")] = None
    access: Annotated[
        Access | None,
        Field(
            description=(
                "Who may call the agent, where the installation checks access. Defaults to those whom the cluster's"
                " RBAC allows to create lambdaagents/invoke."
            )
        ),
    ] = None
    limits: Annotated[
        CallerLimits | None,
        Field(description="Rate of requests of each caller. Callers without a credential are one caller."),
    ] = None
    forward_headers: Annotated[
        list[ForwardHeader],
        Field(
            max_length=32,
            description=(
                "Headers of the client's request that the container gets, in small letters. A credential reaches the"
                " container only if its header is listed here, which is reported in status.warnings."
            ),
        ),
    ] = []
    private_skills: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]],
        Field(
            max_length=128,
            description=(
                "Skills that only the extended agent card shows, to callers with the right to read it. They can be"
                " called like the others."
            ),
        ),
    ] = []
    skills: Annotated[
        list[Skill],
        Field(
            max_length=128,
            description=(
                "Skills that clients can call. Defaults to those in the container's agent card with protocol a2a, and"
                " to the container's tools with protocol mcp."
            ),
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        ),
    ] = []

    @property
    def base_path(self) -> str:
        return self.endpoint.base_path if self.endpoint else "/api/a2a"

    @property
    def discoverable(self) -> bool:
        return self.enabled and (self.endpoint is None or self.endpoint.discovery_enabled)
