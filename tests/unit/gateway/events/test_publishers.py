"""The outcome of an event after RabbitMQ reports whether a queue took it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lambdaagent.api.agent import parse
from lambdaagent.broker.errors import NoQueueError
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.events.publishers import SubscriptionIndex, judged


def taking(**eventing: Any) -> SubscriptionIndex:
    directory, found = Directory(), SubscriptionIndex()
    spec = {"image": {"repository": "r"}, "eventing": eventing}
    agent = parse({"metadata": {"name": "a", "namespace": "shop"}, "spec": spec})
    directory.upsert(agent, url="http://127.0.0.1:1", ready=True, last_modified=datetime.now(UTC))
    for entry in directory.after(None):
        found.add(entry)
    return found


EXACT = {"subscriptions": [{"eventType": "t", "source": "/s"}]}
PATTERN = {"subscriptions": [{"eventType": "t*"}]}
FORWARD = {"forwards": [{"eventTypes": ["t"], "targetAgent": "b", "targetNamespace": "shop"}]}


@pytest.mark.parametrize(
    ("eventing", "routed", "expected"),
    [
        (EXACT, True, True),
        (EXACT, False, None),
        (PATTERN, True, True),
        (PATTERN, False, None),
        (FORWARD, True, True),
        (FORWARD, False, False),
        ({"subscriptions": [{"eventType": "other"}]}, False, False),
        ({"subscriptions": [{"eventType": "t", "source": "/other"}]}, False, False),
        ({"subscriptions": [{"eventType": "o*"}]}, True, False),
    ],
)
def test_an_event_that_an_agent_wants_and_no_queue_took_is_not_confirmed(
    eventing: dict[str, Any], routed: bool, expected: bool | None
) -> None:
    event = Event(id="1", source="/s", type="t")
    if expected is None:
        with pytest.raises(NoQueueError, match=r"type t .* publish again"):
            judged(event, routed, taking(**eventing))
    else:
        assert judged(event, routed, taking(**eventing)) is expected
