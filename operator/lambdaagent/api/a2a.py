"""How an agent is shown and called over A2A (design section 4)."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import DNS_LABEL, HTTP_URL, ApiModel, EventType, rules

# First path segments that the gateway serves itself where an agent has a host of its own.
RESERVED_PATHS = (".well-known", "agents", "events", "healthz", "readyz", "metrics")
Mode = Annotated[str, Field(min_length=1, max_length=256)]


class Invoke(ApiModel):
    event_type: Annotated[EventType | None, Field(description="Default: io.knative.lambda.invoke.sync, or .async.")] = (
        None
    )
    reply_type: EventType | None = None
    path: Annotated[str | None, Field(pattern=r"^/", max_length=1024)] = None
    text_field: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    mode: Literal["sync", "async"] = "sync"
    timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    idempotent: bool = False


class Skill(ApiModel):
    id: Annotated[str, Field(pattern=DNS_LABEL, max_length=63, description="Stands in URLs: a DNS label.")]
    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: Annotated[str, Field(max_length=4096)] = ""
    tags: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=64)] = []
    examples: Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=64)] = []
    input_modes: Annotated[list[Mode], Field(max_length=32)] = ["text"]
    output_modes: Annotated[list[Mode], Field(max_length=32)] = ["text"]
    invoke: Invoke | None = None


class Capabilities(ApiModel):
    streaming: bool = True
    push_notifications: bool = True


class Provider(ApiModel):
    organization: Annotated[str, Field(min_length=1, max_length=256)]
    url: Annotated[str, Field(pattern=HTTP_URL, max_length=2048)]


class Endpoint(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.basePath) || !(self.basePath.split('/')[1] in {list(RESERVED_PATHS)})".replace('"', "'"),
                f"basePath must not begin with a path of the gateway's own ({', '.join(RESERVED_PATHS)})",
            )
        )
    )
    base_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_.~-]+)+$", max_length=256)] = "/api/a2a"
    discovery_enabled: Annotated[bool, Field(description="false: no cards, not in the catalogue, still callable.")] = (
        True
    )


class ContainerEndpoint(ApiModel):
    path: Annotated[str, Field(max_length=1024)] = ""
    version: Literal["auto", "1.0", "0.3"] = "auto"


class A2a(ApiModel):
    enabled: bool = False
    mode: Literal["gateway", "sidecar"] = "gateway"
    protocol: Annotated[Literal["cloudevents", "http", "a2a"], Field(description="How the container is spoken to.")] = (
        "cloudevents"
    )
    container: ContainerEndpoint | None = None
    protocol_versions: Annotated[list[Literal["1.0", "0.3"]], Field(min_length=1, max_length=2)] = ["1.0", "0.3"]
    description: Annotated[str, Field(max_length=4096)] = ""
    version: Annotated[str, Field(max_length=256)] = ""
    capabilities: Capabilities | None = None
    provider: Provider | None = None
    documentation_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$", max_length=2048)] = ""
    icon_url: Annotated[str, Field(pattern=r"^(https?://\S+|data:\S+)?$", max_length=2048)] = ""
    enforce_modes: Annotated[bool, Field(description="true: a part outside a skill's inputModes is refused.")] = False
    endpoint: Endpoint | None = None
    skills: Annotated[
        list[Skill],
        Field(
            max_length=128, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]}
        ),
    ] = []

    @property
    def base_path(self) -> str:
        return self.endpoint.base_path if self.endpoint else "/api/a2a"

    @property
    def discoverable(self) -> bool:
        return self.enabled and (self.endpoint is None or self.endpoint.discovery_enabled)


class McpServer(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    endpoint: Annotated[str, Field(pattern=HTTP_URL, max_length=2048)]
    tool_names: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=512)] = []


class Tool(ApiModel):
    type: Literal["mcp"] = "mcp"
    mcp_server: McpServer
