"""The connection as a whole, on a real API server."""

import asyncio
from contextlib import AsyncExitStack

from lambdaagent.kube import objects
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import CONFIG_MAP, LAMBDA_AGENT


async def test_a_hundred_watches_leave_room_for_requests(client: KubeClient, namespace: str) -> None:
    query = {"watch": "true", "timeoutSeconds": "60"}
    async with AsyncExitStack() as watches:
        for _ in range(105):
            following = client.lines(CONFIG_MAP.path(namespace=namespace), target="all", query=query, silence=60)
            await watches.enter_async_context(following)
        async with asyncio.timeout(10):
            await objects.list_objects(client, CONFIG_MAP, namespace=namespace)


async def test_an_empty_list_of_metadata_is_one(client: KubeClient, namespace: str) -> None:
    listing = await objects.list_objects(client, LAMBDA_AGENT, namespace=namespace, metadata_only=True)
    assert listing.items == ()
