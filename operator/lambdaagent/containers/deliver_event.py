"""One attempt to deliver an event to a container: its result, and the events in the response."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdaagent.containers import requests
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.errors import EventError
from lambdaagent.events.retry import ATTEMPTED, RetryDecision, judge, retry_after
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadTargetError, UndecodableError, UpstreamError
from lambdaagent.httpclient.wire import Target


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """`status` is None if there was no response; `reason` is the error for a dead letter."""

    verdict: RetryDecision
    status: int | None = None
    reason: str = ""
    retry_after: float | None = None
    attempted: bool = True  # False: there was no response, or a gateway reports that it did not call the agent
    replies: tuple[Event, ...] = ()
    bad_reply: bool = False


async def deliver(
    client: HttpClient,
    target: Target,
    event: Event,
    *,
    timeout: float,
    now: float,
    path: str = "/",
    headers: Sequence[tuple[str, str]] = (),
) -> DeliveryResult:
    """Return the result of one attempt, also if the container fails. A date in Retry-After is relative to `now`."""
    call = requests.for_event(event)
    call.headers.extend(headers)
    try:
        response = await client.request(
            target, path=path, headers=call.headers, body=call.body, first_byte=timeout, total=timeout
        )
        said = {name.lower(): value for name, value in response.headers}
        verdict, is_event = judge(response.status), http.mode(said) is not None
        async with response:
            if verdict is RetryDecision.DELIVERED and is_event:
                body = await response.read(limit=client.limits.body_bytes)
            else:
                await response.discard(limit=client.limits.body_bytes)
    except UndecodableError:
        # The container has the event; only its reply is lost.
        return DeliveryResult(verdict, response.status, bad_reply=True)
    except UpstreamError as error:
        return DeliveryResult(RetryDecision.AGAIN, reason=str(error), attempted=False)
    except BadTargetError as error:
        return DeliveryResult(RetryDecision.REFUSED, reason=str(error))
    if verdict is not RetryDecision.DELIVERED:
        wait = retry_after(said, now=now)
        attempted = said.get(ATTEMPTED.lower()) != "no"
        return DeliveryResult(verdict, response.status, f"the agent answered {response.status}", wait, attempted)
    if not is_event:
        return DeliveryResult(verdict, response.status)
    try:
        replies = [event async for event in http.read_in_turns(said, body)]
    except EventError:
        return DeliveryResult(verdict, response.status, bad_reply=True)
    return DeliveryResult(verdict, response.status, replies=tuple(replies))
