"""The official SDK's own MCP server: `python -m benchmarks.gateway_mcp_sdk PORT TOOLS [UPSTREAM]`.

As its documentation builds one, without sessions and with JSON answers, on uvicorn with its fastest parts. It answers
in its own process, so it does less than the gateway does for the same call; with UPSTREAM, the tool calls the agent
there, as a server that somebody writes in front of an agent would. Neither stores anything.
"""

import sys

import aiohttp
import uvicorn
from mcp.server import MCPServer
from starlette.applications import Starlette

ANSWER = "x" * 64


def app(tools: int, upstream: str) -> Starlette:
    server = MCPServer("echo", log_level="ERROR")
    sessions: list[aiohttp.ClientSession] = []

    def say(text: str) -> str:
        return ANSWER

    async def call(text: str) -> str:
        if not sessions:
            sessions.append(aiohttp.ClientSession())
        async with sessions[0].post(upstream, json={"text": text}) as response:
            return await response.text()

    for number in range(tools):
        server.tool(f"a{number}__say", description="Says it.", structured_output=False)(call if upstream else say)
    return server.streamable_http_app(json_response=True, stateless_http=True)


if __name__ == "__main__":
    at = int(sys.argv[1])
    uvicorn.run(
        app(int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""),
        host="127.0.0.1",
        port=at,
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )
