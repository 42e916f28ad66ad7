"""The headers of a dead letter: they are added, and removed without a trace."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import NO_ANSWER, DeathCause

EVENT = amqp.write(Event(id="1", source="/shop", type="parcel.created", extensions={"n": 7}, data=b"{}"))
JUNK = amqp.Message(b"\xff\x00", {"x-mine": [1, {"a": None}], "other": b"\xff"}, content_type=None)
CAUSE = DeathCause("shop/cart", "answered 400: no such parcel", 1800000000.25, 400, "http://cart.shop.svc/", 1)


def test_an_event_carries_its_cause_for_us_and_for_readers_of_knatives_extensions() -> None:
    marked = dead_letter_headers.mark(EVENT, CAUSE)
    added = {name: value for name, value in marked.headers.items() if name not in EVENT.headers}
    assert added == {
        "x-lambdaagent-agent": "shop/cart",
        "x-lambdaagent-reason": "answered 400: no such parcel",
        "x-lambdaagent-code": 400,
        "x-lambdaagent-destination": "http://cart.shop.svc/",
        "x-lambdaagent-attempts": 1,
        "x-lambdaagent-at": "2027-01-15T08:00:00.250Z",
        "knativeerrordest": "http://cart.shop.svc/",
        "knativeerrorcode": 400,
        "knativeerrordata": base64.b64encode(b"answered 400: no such parcel").decode(),
    }
    assert dead_letter_headers.cause_of(marked) == CAUSE
    assert dead_letter_headers.bare(marked) == EVENT
    read = amqp.read(marked)
    assert read.extensions["knativeerrorcode"] == 400


STRUCTURED = amqp.Message(
    b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}', {}, content_type="application/cloudevents+json"
)


@pytest.mark.parametrize("message", [pytest.param(JUNK, id="junk"), pytest.param(STRUCTURED, id="structured mode")])
def test_what_has_no_attributes_in_headers_is_left_alone_besides(message: amqp.Message) -> None:
    marked = dead_letter_headers.mark(message, CAUSE)
    assert not [name for name in marked.headers if name.startswith("knative")]
    assert dead_letter_headers.cause_of(marked) == CAUSE
    assert dead_letter_headers.bare(marked) == message


def test_a_second_death_replaces_the_first() -> None:
    again = replace(CAUSE, reason="no answer", code=NO_ANSWER, destination="", attempts=4)
    assert (
        dead_letter_headers.cause_of(dead_letter_headers.mark(dead_letter_headers.mark(EVENT, CAUSE), again)) == again
    )


def test_long_and_broken_texts_fit_into_headers() -> None:
    marked = dead_letter_headers.mark(
        EVENT, replace(CAUSE, reason="\udc80é" * 9000, destination="http://x/" + "y" * 9000)
    )
    assert sum(len(str(value).encode()) for value in marked.headers.values()) < 8000
    assert len(marked.headers["knativeerrordata"]) <= 1024
    assert dead_letter_headers.cause_of(marked).reason.startswith("?é?é")


def test_what_rabbitmq_itself_gave_up_names_the_queue_that_it_was_in() -> None:
    moment = datetime(2027, 1, 15, 8, tzinfo=UTC)
    death = {"queue": "lambdaagent.shop.agent.cart", "reason": "delivery_limit", "time": moment, "count": 1}
    passing = {"x-delivery-count": 21, "x-lambdaagent-attempt": 3, "x-lambdaagent-due": 1}
    headers = {"x-death": [death], "x-first-death-queue": death["queue"], **passing}
    message = replace(EVENT, headers={**EVENT.headers, **headers})
    cause = dead_letter_headers.cause_of(message)
    assert (cause.agent, cause.at, cause.code) == ("shop/cart", moment.timestamp(), NO_ANSWER)
    assert cause.reason == (
        "RabbitMQ dead-lettered it (delivery_limit) in queue lambdaagent.shop.agent.cart, because of a policy's "
        "delivery-limit; see rabbitmqctl list_policies"
    )
    assert dead_letter_headers.bare(message) == EVENT


def test_letters_of_releases_before_say_what_they_can() -> None:
    old = replace(EVENT, headers={**EVENT.headers, "knativeerrordest": "http://cart/", "knativeerrorcode": "503"})
    assert dead_letter_headers.cause_of(old) == DeathCause("", "not delivered", 0.0, 503, "http://cart/", 0)
    assert dead_letter_headers.cause_of(replace(JUNK, headers={"x-lambdaagent-error": "no id"})).reason == "no id"


texts = st.text("a1\0é\udc80", max_size=5)
values = st.none() | st.booleans() | st.integers() | texts | st.binary(max_size=5) | st.lists(texts, max_size=2)


names = [*sorted(dead_letter_headers.mark(EVENT, CAUSE).headers), "x-lambdaagent-error", "x-death"]


@given(st.dictionaries(st.sampled_from(names), values))
def test_whatever_stands_there_is_read(headers: dict[str, Any]) -> None:
    message = amqp.Message(b"", headers)
    assert isinstance(dead_letter_headers.cause_of(message).code, int)
    assert dead_letter_headers.cause_of(dead_letter_headers.mark(message, CAUSE)) == CAUSE


TIME = datetime(2027, 1, 15, 8)  # noqa: DTZ001 -- as pika reads it


def death(**entry: Any) -> dict[str, Any]:
    """Returns x-death entries, the newest first; before it, the message waited in a delay queue."""
    waited = {"queue": "lambdaagent.delay.250", "reason": "expired", "count": 1, "time": TIME}
    return {"x-death": [entry, waited], "x-first-death-reason": "expired"}


@pytest.mark.parametrize("reason", dead_letter_headers.BY_RABBITMQ)
def test_the_latest_death_by_rabbitmq_itself_is_read(reason: str) -> None:
    found = dead_letter_headers.death_by_rabbitmq(death(queue="q", reason=reason, count=2, time=TIME))
    assert found == dead_letter_headers.Death("q", reason, 1_800_000_000.0, 2)


def test_an_expiration_that_the_message_brought_is_told_from_a_policys() -> None:
    entry = {"queue": "q", "reason": "expired", "original-expiration": "100"}
    assert dead_letter_headers.death_by_rabbitmq(death(**entry)) == dead_letter_headers.Death(
        "q", dead_letter_headers.OWN_EXPIRATION, 0.0, 0
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param(death(queue="q", reason="rejected"), id="somebody rejected it"),
        pytest.param(death(queue="q", reason="unheard of"), id="another reason"),
        pytest.param(death(queue=7, reason="expired"), id="a queue that is no text"),
        pytest.param(death(reason="expired"), id="no queue"),
        pytest.param({"x-death": {"queue": "q", "reason": "expired"}}, id="no list"),
        pytest.param({"x-death": ["expired"]}, id="a list of texts"),
        pytest.param({"x-death": [{"queue": "q", "reason": ["expired"]}]}, id="a reason that is no text"),
        pytest.param({"x-first-death-reason": "expired"}, id="no x-death"),
    ],
)
def test_what_rabbitmq_did_not_give_up_is_no_death_of_it(headers: dict[str, Any]) -> None:
    assert dead_letter_headers.death_by_rabbitmq(headers) is None
