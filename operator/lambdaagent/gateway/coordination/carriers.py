"""Carries a message to a receiver with an address, in the protocol that it speaks.

A container of CloudEvents gets an event, which wakes it, and may answer with one. Whoever can be called over A2A gets a
message as a task of the sender, whose result is the answer to a request. An agent elsewhere without an agent card gets
the message by POST. All others fetch it from their mailbox.

Hazard: the rights of the sender were checked when the message was accepted; they may have been withdrawn since. An
agent that is gone fails its deliveries.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import orjson

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.states import Role
from lambdaagent.clock import Clock, rfc3339
from lambdaagent.containers.deliver_event import deliver
from lambdaagent.containers.turn import Origin
from lambdaagent.containers.who_asks import NotTellableError, WhoAsks
from lambdaagent.coordination import agent_message
from lambdaagent.coordination.deliveries import Delivery
from lambdaagent.coordination.message import Message, as_body
from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.retry import RetryDecision
from lambdaagent.gateway.coordination.agent_ids import entry_of
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.requests import PRIORITY, Requester
from lambdaagent.trust import Trust, unreachable
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.address_check import CheckOf

TYPE = "io.knative.lambda.a2a.message"
_LARGEST = 1024 * 1024  # bytes of an answer


def event_of(message: Message, *, receiver: str, at: float) -> Event:
    """Return the message as a CloudEvent: to containers, and to agents on a WebSocket."""
    known: dict[str, str | int] = {
        "correlationid": message.correlation,
        "causationid": message.causation,
        "a2acontextid": message.session,
        "a2ahops": message.hops,
        "expirytime": rfc3339(at + message.ttl, digits="milliseconds"),
    }
    return Event(
        id=message.id,
        source=f"/a2a/agents/{message.sender}",
        type=TYPE,
        subject=message.topic or receiver,
        time=rfc3339(at, digits="milliseconds"),
        datacontenttype=media_types.JSON,
        data=orjson.dumps(as_body(message, at=at, receiver=receiver)),
        extensions={name: value for name, value in known.items() if value != ""},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCarrier:
    directory: Directory
    namespace: str  # of registered agents
    tasks: Engine
    client: HttpClient
    clock: Clock
    told: WhoAsks
    check: CheckOf
    trust: Trust
    seconds: float = 30.0  # that a receiver has to take a message by an event or by POST

    def entry(self, agent_id: str) -> Entry | None:
        return entry_of(self.directory, agent_id, registry=self.namespace)

    def via(self, agent_id: str) -> str:
        entry = self.entry(agent_id)
        return via_of(entry) if entry is not None else "mailbox"

    def owner(self, agent_id: str) -> str:
        entry = self.entry(agent_id)
        if entry is None:
            return ""
        return entry.registered.created_by if entry.registered is not None else f"namespace:{entry.agent.namespace}"

    async def carry(self, delivery: Delivery) -> Json | None:
        entry = self.entry(delivery.receiver)
        if entry is None:
            self.directory.require_listed()
            raise PermanentError(f"there is no agent {delivery.receiver} any more")
        if entry.registered is not None and entry.registered.protocol == "http":
            return await self._post(entry.registered.endpoint_url, delivery)
        if not entry.ready:
            raise TemporaryError(f"the agent {delivery.receiver} cannot be called: {entry.why_not}")
        if delivery.via == "event":
            return await self._event(entry, delivery)
        return await self._call(entry, delivery)

    async def _event(self, entry: Entry, delivery: Delivery) -> Json | None:
        target = entry.callee.target
        if target is None:
            raise TemporaryError(f"the agent {entry.agent_id} has no address yet")
        event = event_of(delivery.message, receiver=delivery.receiver, at=delivery.created)
        try:
            headers = self.told.headers(entry.callee, Origin(owner=delivery.created_by))
        except NotTellableError as error:
            raise PermanentError(str(error)) from None
        done = await deliver(self.client, target, event, timeout=self.seconds, now=self.clock.now(), headers=headers)
        if done.verdict is RetryDecision.AGAIN:
            raise TemporaryError(done.reason or "the agent did not take it")
        if done.verdict is not RetryDecision.DELIVERED:
            raise PermanentError(done.reason or "the agent refused it")
        if not done.replies:
            return None
        reply = done.replies[0]
        return _object(reply.data or b"", reply.datacontenttype or "")

    async def _call(self, entry: Entry, delivery: Delivery) -> Json | None:
        message = delivery.message
        sent: Json = {
            "messageId": message.id,
            "contextId": message.session,
            "role": str(Role.USER),
            "parts": [_part(message)],
            "metadata": {PRIORITY: message.priority, **({"skillId": message.skill} if message.skill else {})},
        }
        awaited = message.kind == "request"
        request = params.send({"message": sent, "configuration": {"returnImmediately": not awaited}})
        # A repetition finds the task of the first attempt.
        client = Requester(origin=Origin(owner=delivery.created_by), idempotency_key=f"message {message.id}")
        try:
            task = await self.tasks.send(entry.callee, request, client=client)
        except A2AError as error:
            raise PermanentError(str(error)) from None
        return agent_message.result(task) if awaited else None

    async def _post(self, url: str, delivery: Delivery) -> Json | None:
        body = orjson.dumps(as_body(delivery.message, at=delivery.created, receiver=delivery.receiver))
        check = self.check(urlsplit(url).hostname or "")
        headers = {"Content-Type": media_types.JSON}
        try:
            async with (
                address_check.session(check, seconds=self.seconds, trust=self.trust) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status, kind = answer.status, answer.headers.get("Content-Type", "")
                said = await _start(answer)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if (forbidden := address_check.refusal(error)) is not None:
                raise PermanentError(str(forbidden)) from None
            raise TemporaryError(f"it cannot be reached: {unreachable(error)}") from None
        if 400 <= status < 500 and status not in (404, 408, 425, 429):
            raise PermanentError(f"it answered {status}")
        if not 200 <= status < 300:
            raise TemporaryError(f"it answered {status}")
        return _object(said, kind) if said and len(said) <= _LARGEST else None


async def _start(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body, or of a larger one a part that is too large: one read is one piece of a body in pieces."""
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _LARGEST:
            break
    return b"".join(parts)


def via_of(entry: Entry) -> str:
    if entry.registered is not None:
        protocol = entry.registered.protocol
        return protocol if protocol in ("http", "mailbox") else "call"
    return "event" if entry.callee.protocol == "cloudevents" else "call"


def _part(message: Message) -> Json:
    data = message.content.get("data", message.content) if message.form == "003" else message.content
    text = data.get("query", data.get("text")) if isinstance(data, dict) else None
    alone = isinstance(data, dict) and len(data) == 1 and isinstance(text, str)
    return {"text": text} if alone else {"data": data}


def _object(body: bytes, kind: str) -> Json | None:
    """Return a JSON answer as an object, another one as its text."""
    if not body:
        return None
    if "json" in kind:
        try:
            found = bounded_json.loads(body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else {"result": found}
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return None
