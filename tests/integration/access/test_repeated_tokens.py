"""Somebody repeats a token that the cluster refuses."""

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import jwt
from tests.parts.access import bearer, guarded

CLAIMS = {"iss": "https://kubernetes", "sub": "system:serviceaccount:shop:stranger"}


class Api:
    """An API server that refuses every token."""

    asked = 0

    async def request(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        return {"status": {"authenticated": False}}


async def test_a_remembered_refusal_keeps_nothing_of_the_requests_that_it_answers(tmp_path: Path) -> None:
    api, headers = Api(), bearer(jwt.encode(CLAIMS, "k" * 32, algorithm="HS256"))
    limits = {"refusedCredentials": {"requestsPerMinute": 100_000}}
    file = {"audit": {"sink": "none"}, "limits": limits}
    async with guarded(tmp_path / "access.yaml", file, api=api) as gateway:  # type: ignore[arg-type]

        async def repeat(times: int) -> None:
            for _ in range(times):
                assert (await gateway.request("GET", "/agents", headers=headers)).status == 401

        async def kept(times: int) -> int:
            """Returns the bytes that stay after `times` requests, with those of other threads in the same time."""
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            await repeat(times)
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before

        await repeat(50)
        tracemalloc.start()
        try:
            least = min([await kept(100) for _ in range(4)])
        finally:
            tracemalloc.stop()
        assert least < 100 * 2_000, f"{least / 100:.0f} bytes are kept of each request"
        assert api.asked == 1
