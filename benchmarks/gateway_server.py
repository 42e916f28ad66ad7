"""The gateway alone, on uvloop: `python -m benchmarks.gateway_server PORT UPSTREAM STORE AGENTS [ACCESS_FILE]`.

UPSTREAM may be several with commas between; the agents take turns. STORE is `memory`, the path of an SQLite file or the
URL of a migrated PostgreSQL. With an access file, access is enforced. Prints a line when it listens.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import uvloop

from lambdaagent import clock as clocks
from lambdaagent.access.rules import Mode
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway import gc_tuning
from lambdaagent.gateway.access.loading import guarding
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.serving import serve
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.store.factory import open_coordination, open_store
from lambdaagent.trust import SYSTEM


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
    access = {"grants": [{"principals": ["corp:alice"]}]}
    a2a = {"enabled": True, "skills": [{"id": "say", "name": "Say"}], "access": access}
    metadata = {"name": f"a{number}", "namespace": "bench"}
    return parse({"metadata": metadata, "spec": {"image": {"repository": "bench"}, "a2a": a2a}})


async def run(*, port: int, upstream: str, database: str, agents: int, access_file: str) -> None:
    async with AsyncExitStack() as stack:
        directory, nowhere = Directory(), Nowhere()
        upstreams = upstream.split(",")
        for number in range(agents):
            url = upstreams[number % len(upstreams)]
            directory.upsert(agent(number), url=url, ready=True, last_modified=datetime.now(UTC))
        store = (await open_store("" if database == "memory" else database)).store
        stack.push_async_callback(store.close)
        coordination = open_coordination(store, clocks.system())
        stack.push_async_callback(coordination.close)
        clock, mode = clocks.system(), Mode.ENFORCE if access_file else Mode.OFF
        guard = guarding(mode, access_file, clock=clock, trust=SYSTEM, api=None, signer=None)
        await serve(
            stack,
            GatewayConfig(port=port, shutdown_timeout=1.0, replica=f"bench_{port}"),
            directory=directory,
            store=store,
            publisher=nowhere,
            exchanges=nowhere,
            client=HttpClient(),
            clock=clock,
            ready=lambda: None,
            guard=await stack.enter_async_context(guard),
            database=coordination,
        )
        gc_tuning.settle()
        print("listening", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(
        run(
            port=int(sys.argv[1]),
            upstream=sys.argv[2],
            database=sys.argv[3],
            agents=int(sys.argv[4]),
            access_file=sys.argv[5] if len(sys.argv) > 5 else "",
        )
    )
