"""`/a2a/message`, `/a2a/messages`, `/a2a/subscriptions`: messages in the forms of requirements 001 and 003.

A message is answered with 202 once it is durable; each receiver has a state of its own.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import message as forms
from lambdaagent.coordination.bodies import BadBodyError
from lambdaagent.coordination.deliveries import Delivery
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.refusals import LoopError, OtherMessageError, QueueFullError
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting, receivers, sessions
from lambdaagent.gateway.coordination.requests import answer, body, coordination, loaded, require_identity
from lambdaagent.gateway.http import bodies, urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.http.sse import STREAMS

_FETCHED, _MOST = 10, 100
_LONGEST_WAIT = 60.0


async def send(request: web.Request) -> web.Response:
    """Accept one message. Raises ProblemError."""
    receipt, status = await accepted(request, read(await bodies.whole(request)))
    return answer(request, receipt, status=status, headers={"Location": f"{urls.base(request)}{receipt.pop('path')}"})


def read(sent: bytes) -> Message:
    """Raises ProblemError (400)."""
    try:
        return forms.of_body(loaded(sent))
    except BadBodyError as error:
        raise ProblemError(400, "bad-message", f"The message is refused: {error}.") from None


async def accepted(request: web.Request, message: Message) -> tuple[Json, int]:
    """Return the receipt of a message once it is durable, and the status. Raises ProblemError."""
    acting.require(request, message.sender, field="from" if message.form == "003" else "sender_agent_id")
    in_session = await sessions.require_part(request, message)
    addressed, unknown = await receivers.of(request, message)
    if not addressed and unknown:
        detail = f"None of the receivers is an agent that you may send to: {', '.join(unknown[:10])}."
        raise ProblemError(404, "unknown-agent", detail)
    try:
        done = await coordination(request).messages.send(message, addressed, by=request[PRINCIPAL].name)
    except OtherMessageError:
        detail = f"Another message has the message_id {message.id!r}; a new message needs a new one."
        raise ProblemError(409, "message-id-taken", detail) from None
    except QueueFullError as error:
        detail = f"The queue of {error} is full; send again when it has read some of its messages."
        raise ProblemError(429, "queue-full", detail, headers={"Retry-After": "5"}) from None
    except LoopError as error:
        raise ProblemError(508, "loop-detected", f"The message is refused: {error}.") from None
    if in_session and not done.again:
        await coordination(request).sessions.touch(done.message.session)
    state = await coordination(request).messages.find(done.message.id) if done.again else None
    rejected = [{"agent_id": each, "reason": "queue-full"} for each in done.full]
    rejected += [{"agent_id": each, "reason": "unknown-agent"} for each in unknown]
    if state is not None:
        reached = [{"agent_id": receiver, "status": each} for receiver, each, _ in state.deliveries]
    else:
        reached = [{"agent_id": receiver, "status": "queued"} for receiver in done.receivers]
    at = rfc3339(coordination(request).database.now(), digits="milliseconds")
    status = state.status if state is not None else "sent"
    return _receipt(done.message, status, at=at, reached=reached, rejected=rejected), 202


def _receipt(message: Message, status: str, *, at: str, reached: list[Json], rejected: list[Json]) -> Json:
    shared = {"receivers": reached, "rejected": rejected, "path": f"/a2a/messages/{quote(message.id, safe='')}"}
    to = message.to[0] if len(message.to) == 1 else list(message.to)
    if message.form == "001":
        return {
            "message_id": message.id,
            "session_id": message.session,
            "sender_agent_id": message.sender,
            "receiver_agent_id": to,
            "message_type": message.kind,
            "protocol_version": "2.0",
            "status": status,
            "created_at": at,
            **shared,
        }
    return {
        "version": "1.0",
        "type": "agent_message_receipt",
        "message_id": message.id,
        "from": message.sender,
        "to": to,
        "conversation_id": message.session,
        "timestamp": at,
        "status": status,
        **shared,
    }


async def mailbox(request: web.Request) -> web.Response:
    """Return what is in an agent's mailbox; with `wait`, as soon as there is something."""
    agent_id = request.query.get("agent") or acting.own_id(request)
    require_identity(request)
    acting.require(request, agent_id, field="agent")
    wait = _number(request, "wait", least=0.0, most=_LONGEST_WAIT, usual=0.0)
    limit = int(_number(request, "limit", least=1, most=_MOST, usual=_FETCHED))
    found = await _fetched(request, agent_id, limit=limit, wait=wait)
    shown = [forms.as_body(each.message, at=each.created, receiver=agent_id) for each in found]
    return answer(request, {"messages": shown})


async def _fetched(request: web.Request, agent_id: str, *, limit: int, wait: float) -> Sequence[Delivery]:
    """Return what is in the mailbox. One that waits is a stream among others: callers share them, and they end at once
    when the gateway stops.
    """
    messages, streams = coordination(request).messages, request.app[STREAMS]
    if not wait:
        return await messages.fetch(agent_id, limit=limit)
    with streams.one(request[PRINCIPAL].name) as task:
        try:
            return await messages.fetch(agent_id, limit=limit, wait=wait)
        except asyncio.CancelledError:
            if not streams.stopping:
                raise
            task.uncancel()
            return []


async def get(request: web.Request) -> web.Response:
    """Return a message and the state of each delivery, to its sender and its receivers."""
    message_id = request.match_info["id"]
    state = await coordination(request).messages.find(message_id)
    if state is None or not (
        state.created_by == request[PRINCIPAL].name
        or acting.is_own(request, state.message.sender)
        or any(acting.is_own(request, receiver) for receiver, _, _ in state.deliveries)
    ):
        require_identity(request)
        raise _unknown(message_id)
    sender = acting.is_own(request, state.message.sender) or state.created_by == request[PRINCIPAL].name
    shown = forms.as_body(state.message, at=state.created) | {"status": state.status}
    shown["receivers"] = [
        {"agent_id": receiver, "status": each, **({"error": error} if error else {})}
        for receiver, each, error in state.deliveries
        if sender or acting.is_own(request, receiver)
    ]
    return answer(request, shown)


async def acknowledge(request: web.Request) -> web.Response:
    """End the delivery to one receiver: it does not come again."""
    message_id = request.match_info["id"]
    agent_id = request.query.get("agent") or acting.own_id(request)
    require_identity(request)
    acting.require(request, agent_id, field="agent")
    messages = coordination(request).messages
    if not await messages.acknowledge(message_id, agent_id):
        state = await messages.find(message_id)
        known = {receiver: each for receiver, each, _ in state.deliveries} if state is not None else {}
        if agent_id not in known:
            raise _unknown(message_id)
        if known[agent_id] != "acknowledged":
            detail = (
                f"The message {message_id!r} is {known[agent_id]} for {agent_id}; it can no longer be acknowledged."
            )
            raise ProblemError(409, "message-ended", detail)
    return web.Response(status=204)


async def subscribe(request: web.Request) -> web.Response:
    require_identity(request)
    given = await body(request, forms.Subscription)
    acting.require(request, given.agent_id, field="agent_id")
    messages = coordination(request).messages
    found = await messages.subscribe(given.agent_id, given.topic, by=request[PRINCIPAL].name)
    if found is None:
        detail = f"The agent has {messages.limits.subscriptions} subscriptions; delete one that is not needed."
        raise ProblemError(403, "too-many-subscriptions", detail)
    location = {"Location": f"{urls.base(request)}/a2a/subscriptions/{found}"}
    shown = {"subscription_id": found, "agent_id": given.agent_id, "topic": given.topic}
    return answer(request, shown, status=201, headers=location)


async def subscriptions(request: web.Request) -> web.Response:
    agent_id = request.query.get("agent") or acting.own_id(request)
    require_identity(request)
    acting.require(request, agent_id, field="agent")
    found = await coordination(request).messages.subscribed([agent_id])
    shown = [
        {"subscription_id": id_, "agent_id": agent, "topic": topic, "created_at": rfc3339(at)}
        for id_, agent, topic, at in found
    ]
    return answer(request, {"subscriptions": shown})


async def unsubscribe(request: web.Request) -> web.Response:
    require_identity(request)
    subscription_id, messages = request.match_info["id"], coordination(request).messages
    found = await messages.subscription(subscription_id)
    if found is None or not acting.is_own(request, found[0]):
        raise ProblemError(404, "unknown-subscription", f"There is no subscription {subscription_id[:64]!r} of yours.")
    await messages.unsubscribe(subscription_id)
    return web.Response(status=204)


def _unknown(message_id: str) -> ProblemError:
    return ProblemError(404, "unknown-message", f"There is no message {message_id[:255]!r} of yours.")


def _number(request: web.Request, name: str, *, least: float, most: float, usual: float) -> float:
    given = request.query.get(name)
    if given is None:
        return usual
    try:
        found = float(given) if len(given) < 20 else float("nan")
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise ProblemError(400, "bad-query", f"{name} must be a number from {least:g} to {most:g}.")
    return found
