"""The official SDK's own MCP server, answering in-process: `python -m benchmarks.gateway_mcp_sdk PORT TOOLS`.

As its documentation builds one, without sessions and with JSON answers, on uvicorn with its fastest parts. It calls
nobody, so it does less than the gateway does for the same call.
"""

import sys

import uvicorn
from mcp.server import MCPServer
from starlette.applications import Starlette

ANSWER = "x" * 64


def app(tools: int) -> Starlette:
    server = MCPServer("echo", log_level="ERROR")

    def say(text: str) -> str:
        return ANSWER

    for number in range(tools):
        server.tool(f"a{number}__say", description="Says it.", structured_output=False)(say)
    return server.streamable_http_app(json_response=True, stateless_http=True)


if __name__ == "__main__":
    at = int(sys.argv[1])
    uvicorn.run(
        app(int(sys.argv[2])),
        host="127.0.0.1",
        port=at,
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )
