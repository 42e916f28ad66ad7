"""`lambdaagent events dlq` on the gateways' database, beside a gateway that works."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import upstream
from tests.parts.commands import Done, dlq, run
from tests.parts.gateway import World, world
from tests.parts.store_records import letter

from lambdaagent.events.capability import sign
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.records import Letters

KEY = b"0123456789abcdef"
CAPABILITY = sign({"k1": KEY}, namespace="shop", use="to", agent="echo")
EVENT: dict[str, str | int | bool] = {"specversion": "1.0", "source": "/s", "type": "a.b", "n": 7}
DEAD: dict[str, str | int | bool] = EVENT | {
    "knativeerrordest": f"http://events.sys.svc/events/shop/to/echo/{CAPABILITY}",
    "knativeerrorcode": "503",
}


@pytest.fixture
async def gateway(tmp_path: Path, container: upstream.PlainAgent) -> AsyncIterator[World]:
    async with world(database=tmp_path / "tasks.db", keys={"k1": KEY}) as made:
        made.agent(url=container.url)
        yield made


@pytest.fixture
def container() -> Any:
    with upstream.plain_agent() as agent:
        yield agent


@pytest.fixture
def settings(gateway: World, tmp_path: Path) -> dict[str, str]:
    keys = f"k1:{base64.b64encode(KEY).decode()}"
    return {"database": str(tmp_path / "tasks.db"), "events_url": gateway.url, "event_keys": keys}


async def command(settings: dict[str, str], *args: str) -> Done:
    return await dlq(*args, secrets=(CAPABILITY, CAPABILITY.partition(".")[2]), **settings)


async def test_a_letter_is_redriven_to_the_agent_that_its_destination_names(
    gateway: World, settings: dict[str, str], container: upstream.PlainAgent
) -> None:
    where = str(DEAD["knativeerrordest"])
    await gateway.store.add_dead_letter(
        letter(attributes=DEAD | {"id": "1"}, reason=f"not delivered to {where}", data=b"{}")
    )
    [listed] = json.loads((await command(settings, "list", "--agent", "echo", "-o", "json")).out)["items"]
    assert (listed["agent"], listed["code"], listed["type"]) == ("shop/echo", 503, "a.b")
    assert listed["reason"].endswith("/events/shop/to/echo/***")
    assert (await command(settings, "list", "--agent", "echo", "-o", "name")).out == f"{listed['id']}\n"
    shown = json.loads((await command(settings, "show", listed["id"], "-o", "json")).out)
    assert shown["attributes"]["knativeerrordest"] == "http://events.sys.svc/events/shop/to/echo/***"
    done = await command(settings, "redrive", listed["id"])
    assert (done.code, done.out) == (0, "1 redriven\n")
    [seen] = container.seen
    assert (seen.headers["ce-id"], seen.headers["ce-n"], seen.body) == ("1", "7", b"{}")
    assert not [name for name in seen.headers if "knative" in name]
    assert await gateway.store.find_letters(Letters("shop")) == []


async def test_what_the_agent_refuses_again_is_not_lost(
    gateway: World, settings: dict[str, str], container: upstream.PlainAgent
) -> None:
    container.respond = lambda request: (400, {}, b"")
    await gateway.store.add_dead_letter(letter(agent="echo", attributes=EVENT | {"id": "1"}, reason="before"))
    assert (await command(settings, "redrive", "--all")).out == "1 redriven\n"
    [again] = await gateway.store.find_letters(Letters("shop"))
    assert (again.reason, again.attributes["id"]) == ("the agent answered 400", "1")


async def test_what_the_gateway_does_not_take_stays(
    gateway: World, settings: dict[str, str], container: upstream.PlainAgent
) -> None:
    container.respond = lambda request: (503, {}, b"")
    for number, more in enumerate([{"agent": "echo"}, {"agent": "gone"}, {"agent": ""}]):
        await gateway.store.add_dead_letter(letter(attributes=EVENT | {"id": str(number)}, **more))
    await gateway.store.add_dead_letter(letter(agent="echo", attributes={"id": "3", "source": "/s"}))
    done = await command(settings, "redrive", "--all", "-n", "shop")
    assert (done.code, done.out) == (1, "0 redriven, 4 not\n")
    for said in ("answered 503", "There is no agent 'gone'", "does not name the agent", "it is not an event"):
        assert said in done.err
    assert len(await gateway.store.find_letters(Letters("shop"))) == 4


async def test_a_gateway_that_is_not_there_ends_it_at_once(gateway: World, settings: dict[str, str]) -> None:
    for number in range(2):
        await gateway.store.add_dead_letter(letter(agent="echo", attributes=EVENT | {"id": str(number)}))
    done = await command(settings | {"events_url": "http://127.0.0.1:1"}, "redrive", "--all")
    assert done.code == 1
    assert "0 redriven before the failure" in done.err
    assert "http://127.0.0.1:1 cannot be reached" in done.err
    assert len(await gateway.store.find_letters(Letters("shop"))) == 2


async def test_letters_in_postgresql_are_listed_by_pages_and_dropped(database_url: str) -> None:
    store = await PostgresStore.open(database_url)
    for number in range(450):
        agent = "cart" if number % 2 else "till"
        await store.add_dead_letter(letter(agent=agent, received=float(number), attributes=EVENT | {"id": str(number)}))
    done = await dlq("list", "--agent", "cart", "--limit", "210", "-o", "json", database=database_url)
    assert [each["eventId"] for each in json.loads(done.out)["items"]] == [str(n) for n in range(449, 29, -2)]
    assert "there are more than 210" in done.err
    done = await dlq("drop", "--all", "--agent", "shop/cart", "--yes", database=database_url, secrets=("a-secret",))
    assert (done.code, done.out) == (0, "225 dropped\n")
    assert {each.agent for each in await store.find_letters(Letters(limit=500))} == {"till"}
    await store.close()


@pytest.mark.parametrize(
    ("database", "said"),
    [
        pytest.param("/nowhere/tasks.db", "there is no file /nowhere/tasks.db", id="no file"),
        pytest.param("postgresql://u:a-secret@127.0.0.1:1/x", "127.0.0.1:1", id="no server"),
    ],
)
async def test_a_database_that_cannot_be_used_is_named(database: str, said: str) -> None:
    done = await dlq("list", database=database, secrets=("a-secret",))
    assert (done.code, said in done.err) == (1, True)


async def test_both_places_are_listed_where_both_are_set(gateway: World, settings: dict[str, str]) -> None:
    await gateway.store.add_dead_letter(letter(attributes=EVENT | {"id": "1"}))
    done = await command(settings | {"amqp_url": "amqp://guest:guest@127.0.0.1:1"}, "list")
    assert (done.code, "warning: dead letters in RabbitMQ are not included" in done.err) == (0, True)
    assert done.out.splitlines()[1].startswith("s-1 ")


async def test_an_event_is_sent_to_a_gateway_by_hand(gateway: World, tmp_path: Path) -> None:
    heard = gateway.broker.bind("shop/shared", "a.b")
    file = tmp_path / "data.json"
    file.write_bytes(b'{"n": 1}')
    args = ["events", "send", "--type", "a.b", "--source", "/me", "--id", "7", "--url", gateway.url, "-n", "shop"]
    done = await run(*args, "--data", f"@{file}")
    assert (done.code, done.out) == (0, "7 accepted, and an agent subscribes to it\n")
    assert (heard[0].id, heard[0].source, heard[0].data) == ("7", "/me", b'{"n": 1}')
    refused = await run("events", "send", "--type", "a.b", "--url", f"{gateway.url}/events/shop/nowhere")
    assert (refused.code, "answered 404" in refused.err) == (1, True)
    for wrong in (["--url", "ftp://x"], ["--data", "@/nowhere"], ["--source", "a\nb"]):
        assert (await run("events", "send", "--type", "a.b", *wrong)).code == 2
    nobody = await run("events", "send", "--type", "a.b", "--url", "http://127.0.0.1:1")
    assert (nobody.code, "http://127.0.0.1:1/events/default cannot be reached" in nobody.err) == (1, True)
