"""What is logged while RabbitMQ refuses to make again what somebody deleted."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.testing import capture_logs
from tests.parts.polling import eventually

from lambdaagent.broker.errors import TopologyError
from lambdaagent.broker.rabbitmq.log_limit import LogLimit
from lambdaagent.broker.rabbitmq.repair import Upkeep


def test_a_cause_is_news_once_and_again_after_a_while_or_when_it_changes() -> None:
    now = 0.0
    limit = LogLimit(now=lambda: now)
    assert limit.news("q", "refused")
    assert not limit.news("q", "refused")
    assert limit.news("other", "refused")
    assert limit.news("q", "forbidden")
    now = 599.0
    assert not limit.news("q", "forbidden")
    now = 600.0
    assert limit.news("q", "forbidden")
    assert not limit.news("q", "forbidden")
    limit.over("q")
    assert limit.news("q", "forbidden")


def test_what_is_remembered_is_bounded() -> None:
    limit = LogLimit()
    assert all(limit.news(str(number), "refused") for number in range(1001))
    assert limit.news("0", "refused"), "forgotten, so it is said once more"


async def nothing() -> None:
    pass


def upkeep(mend: Callable[[str], Awaitable[dict[str, str] | None]]) -> Upkeep:
    return Upkeep(lambda: ["x"], mend, nothing, lambda: True, every=0.001)


def test_a_queue_that_stays_refused_is_logged_once_for_each_cause() -> None:
    async def unused(_: str) -> dict[str, str] | None:
        return None

    found = upkeep(unused)
    with capture_logs() as logs:
        for problem in ("refused", "refused", "forbidden", "forbidden"):
            found.note("x", {"q": problem})
        found.note("x", {})
        found.note("x", {"q": "forbidden"})
    assert [each["error"] for each in logs] == ["refused", "forbidden", "forbidden"]


async def test_an_exchange_that_cannot_be_mended_is_logged_once_for_each_cause() -> None:
    looked = 0

    async def refuse(_: str) -> dict[str, str] | None:
        nonlocal looked
        looked += 1
        if looked == 10:
            return {}
        raise TopologyError("refused")

    with capture_logs() as logs:
        running = asyncio.create_task(upkeep(refuse).run())
        await eventually(lambda: looked >= 20)
        running.cancel()
        await asyncio.wait([running])
    assert [each["event"] for each in logs] == ["topology.check_failed"] * 2
