"""`lambdaagent events dlq` on a real RabbitMQ."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import yaml
from tests.parts.commands import Done, dlq
from tests.parts.rabbitmq import RabbitMQ

from lambdaagent.api import naming
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause


@dataclass
class Box:
    namespace: str
    url: str
    confirmed: ConfirmChannel

    async def run(self, *args: str, **more: str) -> Done:
        return await dlq(*args, amqp_url=self.url, secrets=("guest:guest",), **more)

    async def listed(self, *args: str, count: int) -> list[dict[str, object]]:
        """Lists letters until there are `count`: those that another process gives back appear a moment later."""
        for _ in range(20):
            done = await self.run("list", "-n", self.namespace, "-o", "json", *args)
            assert done.code == 0, done.err
            found: list[dict[str, object]] = json.loads(done.out)["items"]
            if len(found) == count:
                return found
        raise AssertionError(f"{len(found)} letters instead of {count}")

    async def count(self, queue: str) -> int:
        channel = self.confirmed.channel
        declared = await channel.call(channel.raw.queue_declare, queue=queue, passive=True)
        return int(declared.method.message_count)


@pytest.fixture
async def box(rabbitmq: RabbitMQ) -> AsyncIterator[Box]:
    """Makes letters of two agents and a message that is no event; only `cart` has a queue."""
    link = RabbitMQConnection(url=rabbitmq.url, name="letters")
    link.start()
    confirmed, namespace = await ConfirmChannel.open(link), f"n{secrets.token_hex(4)}"
    channel, now = confirmed.channel, time.time()
    queues = [naming.dead_letters(namespace), naming.queue(namespace, "cart")]
    for queue in queues:
        arguments = {"x-queue-type": "quorum"}
        await channel.call(channel.raw.queue_declare, queue=queue, durable=True, arguments=arguments)
    for id_, agent, type_, hours in (("1", "cart", "a.b", 50), ("2", "till", "a.b", 3), ("3", "cart", "c", 1)):
        event = amqp.write(Event(id=id_, source="/s", type=type_, data=b'{"n": %s}' % id_.encode()))
        cause = DeathCause(f"{namespace}/{agent}", "answered 400\nbadly", now - hours * 3600, 400, "http://cart/", 4)
        assert await confirmed.publish(dead_letter_headers.mark(event, cause), exchange="", routing_key=queues[0])
    assert await confirmed.publish(amqp.Message(b"\xff", {"odd": [b"\xff", None]}), exchange="", routing_key=queues[0])
    yield Box(namespace, rabbitmq.url, confirmed)
    for queue in queues:
        await channel.call(channel.raw.queue_delete, queue=queue)
    await link.stop()


async def test_letters_are_listed_newest_first_in_columns(box: Box) -> None:
    done = await box.run("list", "-n", box.namespace)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["ID", "NAMESPACE", "AGENT", "TYPE", "CODE", "ATTEMPTS", "AGE", "REASON"]
    assert [line[1:] for line in lines[1:]] == [
        [box.namespace, "cart", "c", "400", "4", "1h", "answered", "400", "badly"],
        [box.namespace, "till", "a.b", "400", "4", "3h", "answered", "400", "badly"],
        [box.namespace, "cart", "a.b", "400", "4", "2d", "answered", "400", "badly"],
        [box.namespace, "-", "-", "-", "-", "-", "not", "delivered"],
    ]


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        pytest.param(["--agent", "cart"], ["3", "1"], id="agent"),
        pytest.param(["--type", "a.b"], ["2", "1"], id="type"),
        pytest.param(["--newer-than", "2h"], ["3"], id="newer"),
        pytest.param(["--older-than", "2h", "--newer-than", "2d"], ["2"], id="between"),
        pytest.param(["--limit", "1"], ["3"], id="limit"),
    ],
)
async def test_filters(box: Box, filters: list[str], events: list[str]) -> None:
    assert [each["eventId"] for each in await box.listed(*filters, count=len(events))] == events


async def test_a_letter_is_shown_whole(box: Box) -> None:
    newest, *_, odd = await box.listed(count=4)
    shown = yaml.safe_load((await box.run("show", str(newest["id"]), "-n", box.namespace)).out)
    assert shown | {"at": ""} == newest | {"at": "", "data": {"n": 3}, "attributes": shown["attributes"]}
    assert shown["attributes"]["type"] == "c"
    assert (shown["destination"], shown["agent"]) == ("http://cart/", f"{box.namespace}/cart")
    shown = json.loads((await box.run("show", str(odd["id"]), "-n", box.namespace, "-o", "json")).out)
    assert shown["data_base64"] == "/w=="
    gone = await box.run("show", "q-0000000000", "-n", box.namespace)
    assert (gone.code, "no dead letter q-0000000000" in gone.err) == (1, True)


async def test_a_redriven_letter_is_in_its_agents_queue_and_no_longer_here(box: Box) -> None:
    first = str((await box.listed("--agent", "cart", count=2))[1]["id"])
    done = await box.run("redrive", first, "-n", box.namespace)
    assert (done.code, done.out) == (0, "1 redriven\n")
    assert await box.count(naming.queue(box.namespace, "cart")) == 1
    again = await box.run("redrive", first, "-n", box.namespace)
    assert (again.code, "no dead letter" in again.err) == (1, True)
    assert len(await box.listed(count=3)) == 3


async def test_what_cannot_be_redriven_stays_and_is_explained(box: Box) -> None:
    done = await box.run("redrive", "--all", "-n", box.namespace)
    assert (done.code, done.out) == (1, "2 redriven, 2 not\n")
    assert f"agent {box.namespace}/till has no queue" in done.err
    assert "does not name the agent" in done.err
    assert await box.count(naming.queue(box.namespace, "cart")) == 2
    assert len(await box.listed(count=2)) == 2


async def test_dropping_asks_first(box: Box) -> None:
    refused = await dlq("drop", "--all", "-n", box.namespace, stdin="n\n", amqp_url=box.url)
    assert (refused.code, refused.out) == (1, "")
    assert "Drop 4 dead letters for good?" in refused.err
    unanswered = await box.run("drop", "--all", "-n", box.namespace, "--agent", "till")
    assert unanswered.code == 1
    await box.listed(count=4)
    done = await dlq("drop", "--all", "-n", box.namespace, "--agent", "till", stdin="y\n", amqp_url=box.url)
    assert (done.code, done.out) == (0, "1 dropped\n")
    await box.listed(count=3)
    assert (await box.run("drop", "--all", "--yes", "-n", box.namespace)).out == "3 dropped\n"
    await box.listed(count=0)
    assert await box.count(naming.queue(box.namespace, "cart")) == 0


async def test_namespaces_come_from_the_settings_too(box: Box) -> None:
    done = await box.run("list", "-o", "json", namespaces=f"other,{box.namespace}")
    assert len(json.loads(done.out)["items"]) == 4


async def test_a_redrive_that_is_killed_loses_nothing(box: Box) -> None:
    queue, letters_queue = naming.queue(box.namespace, "cart"), naming.dead_letters(box.namespace)
    cause = DeathCause(f"{box.namespace}/cart", "why", time.time())
    await asyncio.gather(
        *(
            box.confirmed.publish(
                dead_letter_headers.mark(amqp.write(Event(id=f"k{n}", source="/s", type="t")), cause),
                exchange="",
                routing_key=letters_queue,
            )
            for n in range(600)
        )
    )
    env = os.environ | {"LAMBDAAGENT_AMQP_URL": box.url}
    command = [sys.executable, "-m", "lambdaagent", "events", "dlq", "redrive", "--all", "-n", box.namespace]
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=subprocess.DEVNULL)
    async with asyncio.timeout(60):
        while await box.count(queue) < 20:
            await asyncio.sleep(0.01)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    # The connection of the dead is noticed, and what it held comes back: those that were not redriven, and at most
    # one that was, before it was acknowledged. `till` and the message without an agent stay.
    async with asyncio.timeout(30):
        while (total := await box.count(queue) + await box.count(letters_queue)) < 604:
            await asyncio.sleep(0.05)
    assert total <= 605
    assert 20 <= await box.count(queue) < 602


@pytest.mark.parametrize(
    ("args", "settings", "said"),
    [
        pytest.param(["list"], {}, "neither LAMBDAAGENT_AMQP_URL nor LAMBDAAGENT_DATABASE", id="nowhere"),
        pytest.param(["list"], {"amqp_url": "amqp://u:a-secret@127.0.0.1:1"}, "name a namespace", id="no namespace"),
        pytest.param(["list", "-n", "x"], {"amqp_url": "amqp://u:a-secret@host:port"}, "not a URL", id="no URL"),
        pytest.param(["list", "-n", "x"], {"amqp_url": "http://u:a-secret@host"}, "not a URL", id="another URL"),
        pytest.param(["list", "--older-than", "2"], {}, "--older-than 2: use a number and s, m, h or d", id="age"),
        pytest.param(["list", "-o", "xml"], {}, "xml", id="form"),
        pytest.param(["redrive"], {}, "either the IDs of dead letters or --all", id="nothing to redrive"),
        pytest.param(["drop", "q-1", "--all"], {}, "not both", id="both"),
        pytest.param(["drop", "q-1", "--agent", "a"], {}, "only the filter --namespace", id="filters with ids"),
        pytest.param(["show", "x1"], {}, "IDs begin with q- or s-", id="no id"),
        pytest.param(["show", "q-1"], {"database": "/x"}, "set LAMBDAAGENT_AMQP_URL", id="no RabbitMQ"),
        pytest.param(["show", "s-1"], {"amqp_url": "amqp://h"}, "set LAMBDAAGENT_DATABASE", id="no database"),
    ],
)
async def test_what_is_asked_wrongly_ends_with_2(args: list[str], settings: dict[str, str], said: str) -> None:
    done = await dlq(*args, secrets=("a-secret",), **settings)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


async def test_a_rabbitmq_that_refuses_is_named_without_its_password(rabbitmq: RabbitMQ) -> None:
    url = rabbitmq.url.replace("guest:guest", "guest:a-secret")
    done = await asyncio.wait_for(dlq("list", "-n", "x", amqp_url=url, secrets=("a-secret",)), 40)
    assert (done.code, "RabbitMQ was not reached within 15 s; check LAMBDAAGENT_AMQP_URL" in done.err) == (1, True)
