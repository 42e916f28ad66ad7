"""The fields of an agent about its tools, and what status says about them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import HTTP_URL, ApiModel, KeyRef, rules

MOST_SERVERS = 64
MOST_HEADERS = 16
MOST_TOOLS_SHOWN = 100
MOST_MISSING_SHOWN = 100
DEFAULT_SECONDS = 10.0
HEADER_NAME = r"^[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?$"
# What HTTP and the protocol set themselves.
OWN_HEADERS = (
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "keep-alive", "last-event-id", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade",
)  # fmt: skip


def is_own_header(name: str) -> bool:
    """Return whether a client of an MCP server sets the header itself."""
    return name.lower().startswith("mcp-") or name.lower() in OWN_HEADERS


class HeaderFrom(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!self.name.lowerAscii().startsWith('mcp-') && !(self.name.lowerAscii() in {list(OWN_HEADERS)})",
                "the client of an MCP server sets this header itself",
                "name",
            )
        )
    )
    name: Annotated[
        str, Field(pattern=HEADER_NAME, max_length=64, description="Name of the header, such as Authorization.")
    ]
    secret_key_ref: Annotated[
        KeyRef,
        Field(
            description=(
                "Key of a Secret that holds the value of the header. The container gets the value by reference."
            )
        ),
    ]


class McpServer(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=256, description="Name of the MCP server.")]
    endpoint: Annotated[str, Field(pattern=HTTP_URL, max_length=2048, description="URL of the MCP server.")]
    tool_names: Annotated[
        list[Annotated[str, Field(max_length=256)]],
        Field(
            max_length=512, description="Names of the server's tools that the agent may use. Defaults to all of them."
        ),
    ] = []
    headers_from: Annotated[
        list[HeaderFrom],
        Field(
            max_length=MOST_HEADERS,
            description=(
                "Headers of requests to the MCP server whose values are secret. The operator sends them too when it"
                " lists the tools, if it may read the Secret."
            ),
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=3600,
            description=(
                "Maximum number of seconds for a response of the MCP server. By default, the container decides. The"
                " operator waits for its list of tools for as long, from 10 to 30 seconds."
            ),
        ),
    ] = None


class Tool(ApiModel):
    type: Annotated[Literal["mcp"], Field(description="Type of the tool. Only mcp is supported. Defaults to mcp.")] = (
        "mcp"
    )
    mcp_server: Annotated[McpServer, Field(description="MCP server that provides the tools.")]


class KnownTool(ApiModel):
    name: Annotated[str, Field(max_length=128)]
    description: Annotated[str, Field(max_length=200)] = ""


class ToolServerStatus(ApiModel):
    """An MCP server of the agent, as the operator found it; `tools` are those that the agent may use."""

    name: Annotated[str, Field(max_length=256)]
    endpoint: Annotated[str, Field(max_length=2048)]
    protocol_version: Annotated[str | None, Field(max_length=32)] = None
    ready: bool = False
    # Of all that the server offers; `tools` has at most MOST_TOOLS_SHOWN of them.
    tool_count: Annotated[int | None, Field(ge=0)] = None
    tools: Annotated[list[KnownTool], Field(max_length=MOST_TOOLS_SHOWN)] = []
    missing: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=MOST_MISSING_SHOWN)] = []
    error: Annotated[str | None, Field(max_length=1024)] = None
    # When what status says about the server last changed.
    last_sync: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
