"""One event to one container, once: what came of it, and the events that the container answered with."""

from dataclasses import dataclass

from lambdaagent.agents import invoke
from lambdaagent.agents.client import Client
from lambdaagent.agents.errors import BadTargetError, UpstreamError
from lambdaagent.agents.wire import Target
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.delivery import ATTEMPTED, Verdict, judge, retry_after
from lambdaagent.events.errors import EventError


@dataclass(frozen=True, slots=True)
class Delivered:
    """`status` is None where there was no answer; `reason` says what is wrong, for a dead letter."""

    verdict: Verdict
    status: int | None = None
    reason: str = ""
    retry_after: float | None = None
    attempted: bool = True  # False: there was no answer, or a gateway says that it did not call the agent
    replies: tuple[Event, ...] = ()
    bad_reply: bool = False


async def deliver(
    client: Client, target: Target, event: Event, *, timeout: float, now: float, path: str = "/"
) -> Delivered:
    """Never raises for what the container does. `now` is the time that a Retry-After date is counted from."""
    call = invoke.for_event(event)
    try:
        response = await client.request(
            target, path=path, headers=call.headers, body=call.body, first_byte=timeout, total=timeout
        )
        async with response:
            body = await response.read(limit=client.limits.body_bytes)
    except UpstreamError as error:
        return Delivered(Verdict.AGAIN, reason=str(error), attempted=False)
    except BadTargetError as error:
        return Delivered(Verdict.REFUSED, reason=str(error))
    headers = {name.lower(): value for name, value in response.headers}
    verdict = judge(response.status)
    if verdict is not Verdict.DELIVERED:
        wait = retry_after(headers, now=now)
        attempted = headers.get(ATTEMPTED.lower()) != "no"
        return Delivered(verdict, response.status, f"the agent answered {response.status}", wait, attempted)
    if http.mode(headers) is None:
        return Delivered(verdict, response.status)
    try:
        return Delivered(verdict, response.status, replies=tuple(http.read(headers, body)))
    except EventError:
        return Delivered(verdict, response.status, bad_reply=True)
