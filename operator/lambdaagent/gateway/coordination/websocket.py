"""`/a2a/ws`: messages for an agent without an inbound port, on a WebSocket with the subprotocol `cloudevents.json`.

The gateway sends what is in the agent's mailbox as soon as it is there. The agent acknowledges each message by an
event; what it does not acknowledge comes again, here or on another connection. It sends messages as events of the same
type as those it gets, and its connection counts as its heartbeat.

CloudEvents' WebSocket binding has no acknowledgements, so these event types are the gateway's own.
"""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import uuid4

import orjson
import structlog
from aiohttp import WSMsgType, web

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.cancellation import cancel
from lambdaagent.coordination import message as forms
from lambdaagent.coordination.bodies import BadBodyError, loads
from lambdaagent.coordination.registration import Heartbeat
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting, messages
from lambdaagent.gateway.coordination.carriers import TYPE, event_of
from lambdaagent.gateway.coordination.requests import coordination, require_identity
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.http.sse import STREAMS
from lambdaagent.gateway.services import SERVICES

log = structlog.get_logger(__name__)

PROTOCOL = "cloudevents.json"
ACKNOWLEDGED, ACCEPTED, REFUSED = f"{TYPE}.acknowledged", f"{TYPE}.accepted", f"{TYPE}.refused"
_LARGEST = 1024 * 1024  # bytes of one event
_CHECKED = 15.0  # seconds between two pings, and between two checks of the caller's rights
_AT_ONCE = 10


async def serve(request: web.Request) -> web.StreamResponse:
    agent_id = request.query.get("agent") or acting.own_id(request)
    owner = require_identity(request)
    acting.require(request, agent_id, field="agent")
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if request.headers.get("Upgrade", "").lower() != "websocket" or PROTOCOL not in offered:
        detail = f"This is a WebSocket: connect with the subprotocol {PROTOCOL}."
        raise ProblemError(426, "websocket-expected", detail, headers={"Upgrade": "websocket"})
    socket = web.WebSocketResponse(protocols=[PROTOCOL], heartbeat=_CHECKED, max_msg_size=_LARGEST)
    streams = request.app[STREAMS]
    with streams.one(owner) as task:
        await socket.prepare(request)
        connection = _Connection(request, socket, agent_id)
        working = [
            asyncio.create_task(each, name="websocket")
            for each in (connection.deliver(), connection.listen(), connection.keep())
        ]
        code, why = 1001, b"the gateway stops"
        try:
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            code, why = next(iter(done)).result()
        except asyncio.CancelledError:
            if not streams.stopping:
                raise
            task.uncancel()
        except Exception:  # the response has begun, so no middleware can answer
            log.exception("websocket.crashed", agent=agent_id)
            code, why = 1011, b"an error of the gateway"
        finally:
            await cancel(*working)
            with suppress(ConnectionError, asyncio.TimeoutError):
                await socket.close(code=code, message=why)
    return socket


class _Connection:
    """Each method ends with the code and reason with which the connection is closed."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, agent_id: str) -> None:
        self._request = request
        self._socket = socket
        self._agent_id = agent_id
        self._messages = coordination(request).messages

    async def deliver(self) -> tuple[int, bytes]:
        while True:
            try:
                found = await self._messages.fetch(self._agent_id, limit=_AT_ONCE, wait=30)
                for each in found:
                    await self._send(event_of(each.message, receiver=self._agent_id, at=each.created))
            except ConnectionError:
                return 1006, b""
            except LambdaAgentError as error:
                log.warning("websocket.fetch_failed", agent=self._agent_id, error=str(error))
                await asyncio.sleep(1.0)

    async def listen(self) -> tuple[int, bytes]:
        async for received in self._socket:
            if received.type is not WSMsgType.TEXT:
                return 1003, b"events are text in JSON"
            event: Json = {}
            try:
                limiting.require_principal(self._request.app[SERVICES], self._request[PRINCIPAL])
                event = _event(loads(received.data.encode()))
                await self._take(event)
            except BadBodyError as error:
                await self._refuse(event, "bad-event", f"The event is refused: {error}.")
            except ProblemError as problem:
                await self._refuse(event, problem.kind, str(problem), status=problem.status)
            except LambdaAgentError as error:
                await self._refuse(event, "unavailable", f"The event cannot be handled now: {error}.", status=503)
            except ConnectionError:
                return 1006, b""
        return 1000, b""

    async def keep(self) -> tuple[int, bytes]:
        """Beat for the agent while it is connected, and end the connection of who lost its rights."""
        still_known = authorization.known(self._request)
        registry = coordination(self._request).registry
        while True:
            if still_known is not None and not await still_known():
                return 1008, b"the credential is no longer valid"
            if not acting.is_own(self._request, self._agent_id):
                return 1008, b"the agent is no longer yours"
            with suppress(LambdaAgentError):
                await registry.beat(self._agent_id, Heartbeat())
            await asyncio.sleep(_CHECKED)

    async def _take(self, event: Json) -> None:
        kind, data = event["type"], event.get("data")
        if kind == ACKNOWLEDGED:
            message_id = event.get("subject") or (data or {}).get("message_id") if isinstance(data, dict | None) else ""
            if not isinstance(message_id, str) or not message_id:
                raise BadBodyError("subject must be the id of the message")
            await self._messages.acknowledge(message_id, self._agent_id)
        elif kind == TYPE:
            await self._accept(event, data)
        else:
            raise BadBodyError(f"its type is unknown; known are {TYPE} and {ACKNOWLEDGED}")

    async def _accept(self, event: Json, data: Any) -> None:
        message = forms.of_body(data)
        if not message.id and isinstance(event.get("id"), str):
            message = forms.named(message, event["id"])
        receipt, _ = await messages.accepted(self._request, message)
        del receipt["path"]
        await self._answer(ACCEPTED, event, receipt)

    async def _refuse(self, event: Json, kind: str, detail: str, *, status: int = 400) -> None:
        await self._answer(REFUSED, event, {"type": kind, "status": status, "detail": detail})

    async def _answer(self, kind: str, event: Json, data: Json) -> None:
        cause = event.get("id")
        await self._send(
            Event(
                id=uuid4().hex,
                source="/a2a",
                type=kind,
                datacontenttype=media_types.JSON,
                data=orjson.dumps(data),
                extensions={"correlationid": cause} if isinstance(cause, str) and cause else {},
            )
        )

    async def _send(self, event: Event) -> None:
        found = {**event.attributes(), "data": orjson.Fragment(event.data)}
        await self._socket.send_str(orjson.dumps(found).decode())


def _event(found: Any) -> Json:
    """Raises BadBodyError."""
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise BadBodyError("it is no CloudEvent")
    return found
