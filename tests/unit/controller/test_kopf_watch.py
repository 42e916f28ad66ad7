"""The path of kopf's events to the event loop that renews the Lease."""

import asyncio
from typing import Any

from lambdaagent.controller import kopf_watch


async def test_between_two_news_everybody_has_a_turn() -> None:
    news: asyncio.Queue[tuple[str | None, Any]] = asyncio.Queue()
    told: list[Any] = []
    for number in range(100):
        news.put_nowait((None, {"number": number}))
    telling = asyncio.create_task(kopf_watch._tell(news, lambda _, obj: told.append(obj["number"])))
    turns = 0
    while len(told) < 100:
        await asyncio.sleep(0)
        turns += 1
    telling.cancel()
    await asyncio.wait([telling])
    assert told == list(range(100))
    assert turns >= 100
