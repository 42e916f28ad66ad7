"""Events in at a gateway on RabbitMQ: what is confirmed, what is refused and how, what the stock broker would send."""

import asyncio
import gzip
import json

import httpx
from tests.parts.agents import Container
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.system import System

from lambdaagent.api import naming
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.events import amqp

HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "io.test.in", "ce-source": "/in"}
# As Knative's ingress writes it into its exchange.
STOCK = amqp.Message(
    b'{"parcel": 77}',
    {
        "specversion": "1.0",
        "id": "stock",
        "type": "io.test.in",
        "source": "/shop",
        "subject": "s",
        "time": "0001-01-01T00:00:00Z",
        "content-type": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "",
    },
    "application/json",
    "stock",
)


def url(system: System) -> str:
    return f"{system.gateways[0].url}/events/{system.agents.namespace}"


async def test_every_form_of_an_event_gets_to_the_agent(
    system: System, container: Container, own_rabbitmq: RabbitMQ
) -> None:
    system.agents.make("forms", url=container.url, subscriptions=[{"eventType": "io.test.in"}])
    await system.agents.eventing_ready("forms")
    structured = {"specversion": "1.0", "id": "2", "type": "io.test.in", "source": "/in", "data": {"a": 1}}
    batch = [structured | {"id": "3"}, structured | {"id": "4", "type": "io.test.nobody"}]
    async with httpx.AsyncClient(timeout=20) as client:
        sent = [
            await client.post(url(system), content=b"\xff\x00", headers=HEADERS),
            await client.post(url(system), json=structured, headers={"content-type": "application/cloudevents+json"}),
            await client.post(
                url(system), content=json.dumps(batch), headers={"content-type": "application/cloudevents-batch+json"}
            ),
        ]
    assert [(answer.status_code, answer.headers["lambdaagent-routed"]) for answer in sent] == [(202, "1")] * 3
    link = RabbitMQConnection(url=own_rabbitmq.url, name="stock")
    link.start()
    channel = await ConfirmChannel.open(link)
    assert await channel.publish(STOCK, exchange=naming.exchange(system.agents.namespace))
    await eventually(lambda: container.ids == ["1", "2", "3", "stock"])
    assert container.got[0].body == b"\xff\x00"
    assert (container.got[3].body, container.got[3].headers["ce-subject"]) == (STOCK.body, "s")
    await link.stop()


async def test_large_attributes_and_coded_data_get_to_the_agent_whole(system: System, container: Container) -> None:
    system.agents.make("large", url=container.url, subscriptions=[{"eventType": "io.test.large"}])
    await system.agents.eventing_ready("large")
    headers = HEADERS | {"ce-type": "io.test.large", "content-encoding": "gzip", "ce-note": "n" * 20 * 1024}
    async with httpx.AsyncClient(timeout=20) as client:
        taken = await client.post(url(system), content=gzip.compress(b"whole"), headers=headers)
        large = await client.post(url(system), content=b"", headers=headers | {"ce-note": "n" * 40 * 1024})
        several = {f"ce-note{number}": "n" * 30_000 for number in range(3)}
        together = await client.post(url(system), content=b"", headers=headers | several | {"ce-note": "n"})
    assert (taken.status_code, taken.headers["lambdaagent-routed"]) == (202, "1")
    assert [(answer.status_code, answer.json()["type"]) for answer in (large, together)] == [
        (413, "urn:lambdaagent:problem:event-too-large")
    ] * 2
    await eventually(lambda: container.got)
    assert (container.got[0].body, container.got[0].headers["ce-note"]) == (b"whole", "n" * 20 * 1024)
    assert "content-encoding" not in container.got[0].headers


async def test_what_cannot_be_taken_is_refused_with_its_reason(system: System, container: Container) -> None:
    system.agents.make("takes", url=container.url, subscriptions=[{"eventType": "io.test.in"}])
    await system.agents.eventing_ready("takes")
    wide = HEADERS | {f"ce-e{number}": "x" * 1200 for number in range(5)}
    cases = [
        (HEADERS | {"ce-type": "io.test.nobody"}, b"", 404, "unrouted"),
        (HEADERS | {"ce-specversion": "9.9"}, b"", 400, "bad-event"),
        (HEADERS | {"ce-time": "yesterday"}, b"", 400, "bad-event"),
        (HEADERS, b"x" * (20 * 2**20), 413, "body-too-large"),
    ]
    async with httpx.AsyncClient(timeout=20) as client:
        assert (await client.post(url(system), headers=wide)).status_code == 202
        for headers, body, status, kind in cases:
            answer = await client.post(url(system), headers=headers, content=body)
            assert answer.status_code == status, answer.text
            assert answer.json()["type"] == f"urn:lambdaagent:problem:{kind}"
        huge = {
            "specversion": "1.0", "id": "1", "type": "io.test.in", "source": "/in",
            **{f"e{number}": "x" * 1000 for number in range(90)},
        }  # fmt: skip
        answer = await client.post(url(system), json=huge, headers={"content-type": "application/cloudevents+json"})
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:lambdaagent:problem:event-too-large")


async def test_a_rabbitmq_in_alarm_holds_producers_back_and_loses_nothing(
    system: System, container: Container, own_rabbitmq: RabbitMQ
) -> None:
    system.agents.make("waits", url=container.url, subscriptions=[{"eventType": "io.test.alarm"}])
    await system.agents.eventing_ready("waits")
    async with httpx.AsyncClient(timeout=40) as client:
        kind = HEADERS | {"ce-type": "io.test.alarm"}
        assert (await client.post(url(system), headers=kind | {"ce-id": "before"})).status_code == 202
        await asyncio.to_thread(own_rabbitmq.ctl, "set_vm_memory_high_watermark", "0")
        try:
            statuses = set()
            for attempt in range(20):
                answer = await client.post(url(system), headers=kind | {"ce-id": f"during-{attempt}"})
                statuses.add(answer.status_code)
                if answer.status_code == 429:
                    break
            assert answer.status_code == 429, statuses
            assert answer.headers["retry-after"]
            assert "short of memory or disk" in answer.json()["detail"]
        finally:
            await asyncio.to_thread(own_rabbitmq.ctl, "set_vm_memory_high_watermark", "0.4")
        again = await client.post(url(system), headers=kind | {"ce-id": "after"})
    assert again.status_code == 202
    await eventually(lambda: {"before", "after"} <= set(container.ids))
