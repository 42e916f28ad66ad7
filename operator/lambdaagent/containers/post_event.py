"""Posts an event to a receiver that must confirm it: a Broker's ingress, a sidecar's sink, the gateway."""

from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.http import binary
from lambdaagent.events.retry import RetryDecision, judge
from lambdaagent.httpclient.client import HttpClient, Response
from lambdaagent.httpclient.errors import BadTargetError, UpstreamError
from lambdaagent.httpclient.wire import Target

_TIMEOUT = 30.0


class NotAcceptedError(TemporaryError):
    """The event was not confirmed; the sender may try again."""


class EventRefusedError(PermanentError):
    """The receiver does not accept the event as it is."""


async def post(client: HttpClient, target: Target, event: Event, *, path: str, title: str) -> Response:
    """Return the response of the receiver, after it confirmed the event; `title` names the receiver in errors.

    Raises NotAcceptedError, EventRefusedError.
    """
    headers, body = binary(event)
    try:
        response = await client.request(
            target, path=path, headers=headers, body=body, first_byte=_TIMEOUT, total=_TIMEOUT
        )
        async with response:
            await response.discard(limit=64 * 1024)
    except UpstreamError as error:
        raise NotAcceptedError(f"{title} cannot be reached: {error}") from error
    except BadTargetError as error:
        raise EventRefusedError(f"the event cannot be sent to {title}: {error}") from error
    match judge(response.status):
        case RetryDecision.DELIVERED:
            return response
        case RetryDecision.AGAIN:
            raise NotAcceptedError(f"{title} answered {response.status}")
    raise EventRefusedError(f"{title} refused the event with {response.status}")
