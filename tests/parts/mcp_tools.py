"""An MCP server whose tools do what a container's tools can do: answer in each form, report, fail, ask, and hang."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    Completion,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

PIXEL = "iVBORw0KGgo="


class Sure(BaseModel):
    sure: bool


@dataclass
class Toolbox:
    """The server, and what became of its tool `hang`."""

    server: MCPServer[Any] = field(default_factory=lambda: MCPServer("toolbox"))
    hanging: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)


def toolbox() -> Toolbox:
    made = Toolbox()
    server = made.server

    @server.tool(title="Add two numbers")
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    @server.tool()
    def shout(what: str) -> str:
        """Says it louder."""
        return what.upper()

    @server.tool()
    def route(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})], ctx: Context[Any, Any]
    ) -> str:
        """Says by which header it is routed."""
        return str((ctx.headers or {}).get("mcp-param-region"))

    @server.tool()
    def show() -> CallToolResult:
        """Returns each form of content."""
        blob = BlobResourceContents(uri="memo://b/x.bin", mime_type="application/x", blob=PIXEL)
        return CallToolResult(
            content=[
                TextContent(type="text", text="look", _meta={"k": 1}),
                ImageContent(type="image", data=PIXEL, mime_type="image/png"),
                AudioContent(type="audio", data=PIXEL, mime_type="audio/wav"),
                EmbeddedResource(
                    type="resource", resource=TextResourceContents(uri="memo://a", mime_type="text/css", text="a{}")
                ),
                EmbeddedResource(type="resource", resource=blob),
                ResourceLink(type="resource_link", uri="https://example.com/x", name="x", title="An X"),
            ],
            structured_content={"seen": True},
        )

    @server.tool()
    def fail(why: str) -> str:
        """Fails."""
        raise ToolError(why)

    @server.tool()
    async def climb(ctx: Context[Any, Any], steps: int = 3) -> str:
        """Reports progress and logs."""
        for step in range(steps):
            await ctx.report_progress(step + 1, steps, f"step {step + 1}")
        await ctx.log("info", "at the top")
        return "done"

    @server.tool()
    async def hang(ctx: Context[Any, Any], what: str) -> str:
        """Waits for ever."""
        made.hanging.append(what)
        try:
            await ctx.report_progress(1, None, "hanging")
            await asyncio.sleep(600)
        finally:
            made.given_up.append(what)
        return what

    @server.tool()
    async def confirm(ctx: Context[Any, Any]) -> str:
        """Asks while its answer stays open, as servers before 2026-07-28 do."""
        answer = await ctx.elicit("Sure?", Sure)
        return answer.action

    @server.tool()
    async def book(ctx: Context[Any, Any], where: str) -> Any:
        """Asks for how many."""
        responses = ctx.input_responses or {}
        if "seats" not in responses:
            form = {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]}
            ask = ElicitRequest(params=ElicitRequestFormParams(message="How many seats?", requested_schema=form))
            return InputRequiredResult(input_requests={"seats": ask}, request_state="round-1")
        answer: Any = responses["seats"]
        if answer.action != "accept":
            return f"no booking: {answer.action}"
        return f"{where}: {answer.content['seats']} ({ctx.request_state})"

    @server.prompt()
    def greeting(name: str) -> str:
        """Greets."""
        return f"Greet {name}."

    @server.prompt()
    async def asking(ctx: Context[Any, Any]) -> Any:
        """Asks whom to greet."""
        answer: Any = (ctx.input_responses or {}).get("who")
        if answer is None:
            form = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
            ask = ElicitRequest(params=ElicitRequestFormParams(message="Whom?", requested_schema=form))
            return InputRequiredResult(input_requests={"who": ask}, request_state="prompt-1")
        return f"Greet {answer.content['who']} ({ctx.request_state})."

    @server.resource("memo://note")
    def note() -> str:
        """A note."""
        return "remember"

    @server.resource("memo://notes/{name}")
    def named(name: str) -> str:
        """A note with a name."""
        return f"remember {name}"

    @server.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        return Completion(values=[f"{argument.value}{each}" for each in "xy"])

    return made
