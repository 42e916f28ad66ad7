"""The gateway alone, on uvloop: `python -m benchmarks.gateway_server PORT UPSTREAM STORE AGENTS`.

UPSTREAM may be several with commas between; the agents take turns. STORE is `memory`, the path of an SQLite file or the
URL of a migrated PostgreSQL. Prints a line when it listens.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import uvloop

from lambdaagent import clock as clocks
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway import gc_tuning
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.serving import serve
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.store.factory import open_store


class Nowhere:
    """Takes every event: publishing is measured elsewhere."""

    async def publish(self, event: Event, *, exchange: str) -> bool:
        return True

    def shared(self, namespace: str) -> str:
        return namespace

    def broker(self, namespace: str, broker: str) -> str:
        return broker

    def agent(self, agent: LambdaAgent) -> str:
        return agent.namespace


def agent(number: int) -> LambdaAgent:
    a2a = {"enabled": True, "skills": [{"id": "say", "name": "Say"}]}
    metadata = {"name": f"a{number}", "namespace": "bench"}
    return parse({"metadata": metadata, "spec": {"image": {"repository": "bench"}, "a2a": a2a}})


async def run(*, port: int, upstream: str, database: str, agents: int) -> None:
    async with AsyncExitStack() as stack:
        directory, nowhere = Directory(), Nowhere()
        upstreams = upstream.split(",")
        for number in range(agents):
            url = upstreams[number % len(upstreams)]
            directory.upsert(agent(number), url=url, ready=True, last_modified=datetime.now(UTC))
        store = (await open_store("" if database == "memory" else database)).store
        stack.push_async_callback(store.close)
        await serve(
            stack,
            GatewayConfig(port=port, shutdown_timeout=1.0, replica=f"bench_{port}"),
            directory=directory,
            store=store,
            publisher=nowhere,
            exchanges=nowhere,
            client=HttpClient(),
            clock=clocks.system(),
            ready=lambda: None,
        )
        gc_tuning.settle()
        print("listening", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(port=int(sys.argv[1]), upstream=sys.argv[2], database=sys.argv[3], agents=int(sys.argv[4])))
