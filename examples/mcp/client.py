"""Finds and calls agents with the official SDK of the Model Context Protocol (`pip install mcp`).

GATEWAY_MCP is the URL, such as http://127.0.0.1:8080/mcp, and TOKEN a credential if the gateway asks for one.
"""

import asyncio
import os

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("GATEWAY_MCP", "http://127.0.0.1:8080/mcp")
TOKEN = os.environ.get("TOKEN", "")


async def main() -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=300) as http,
        Client(streamable_http_client(URL, http_client=http)) as gateway,
    ):
        found = await gateway.call_tool("a2a_discover_agents", {})
        for agent in found.structured_content["agents"]:
            print(agent["agent_id"], [skill["tool"] for skill in agent["skills"]])

        asked = await gateway.call_tool("ask", {"query": "A question: will the weather be fine?"})
        print(asked.structured_content["agent_id"], "says", asked.structured_content["output"])

        begun = await gateway.call_tool(
            "a2a_execute_task", {"task_type": "forecast", "input_data": {"city": "Basel", "days": 2}, "wait": False}
        )
        task = {"task_id": begun.structured_content["task_id"]}
        while True:
            read = await gateway.call_tool("a2a_task_status", task)
            if read.structured_content["status"] != "working":
                break
            await asyncio.sleep(0.2)
        print(read.structured_content["status"], read.structured_content["output"])

        wrong = await gateway.call_tool("default__weather__forecast", {"city": "Basel", "days": 20})
        print(wrong.content[0].text)


asyncio.run(main())
