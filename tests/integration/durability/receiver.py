"""A receiver of push notifications in the process of the test, with a path for each task; it fails at random."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
from aiohttp import web
from tests.parts.http_servers import serving

Json = dict[str, Any]


@dataclass
class Receiver:
    chance: Random
    failing: float = 0.0  # the part of notifications that is answered with 503
    url: str = ""
    got: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))

    async def take(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if self.chance.random() < self.failing:
            return web.Response(status=503)
        self.got[request.match_info["key"]].append(body)
        return web.Response(status=204)


@asynccontextmanager
async def receiving(chance: Random, *, failing: float = 0.0) -> AsyncIterator[Receiver]:
    found = Receiver(chance, failing)
    app = web.Application()
    app.add_routes([web.post("/{key}", found.take)])
    async with serving(app, shutdown_timeout=1) as found.url:
        yield found
