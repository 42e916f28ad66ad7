"""An MCP server made with the official SDK. As an agent's container, its tools are the agent's skills.

By default the server accepts calls from this machine only; in its container it listens on all addresses of the pod. It
keeps no sessions, so that any pod answers any request.
"""

import asyncio
import os
import sys

from mcp.server.mcpserver import Context, MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

server = MCPServer("calculator")


@server.tool(title="Add two numbers")
def add(a: float, b: float) -> float:
    """Returns the sum of a and b."""
    return a + b


@server.tool(title="Count to a number")
async def count(to: int, ctx: Context) -> str:
    """Counts slowly and reports each number."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"{number}")
        await asyncio.sleep(0.2)
    return f"counted to {to}"


@server.custom_route("/health", methods=["GET"])
async def health(_: Request) -> Response:
    return PlainTextResponse("ok")


if __name__ == "__main__":
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    server.run("streamable-http", host=host, port=int(os.environ.get("PORT", "8080")), stateless_http=True)
