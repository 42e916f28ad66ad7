"""An A2A 1.0 client over JSON-RPC, for one agent of a gateway. Streams are read synchronously, event by event.

Hazard: what arrives is untrusted. An event is limited in size and number of values, and a silent connection in time.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass

import aiohttp
import orjson

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json, versions
from lambdaagent.cli import gateway_client
from lambdaagent.cli.agents.directory import Agent
from lambdaagent.cli.coordination.client import Gateway, RefusedError, refusal
from lambdaagent.cli.printing import one_line
from lambdaagent.errors import LambdaAgentError, TemporaryError
from lambdaagent.events.event_urls import hide
from lambdaagent.httpclient.sse_decoder import SseDecoder
from lambdaagent.trust import unreachable

UNSUPPORTED = -32004
_EVENT = 64 * 1024 * 1024  # bytes of one event; the limit of a task is lower
_ERROR = 64 * 1024  # bytes of a response that is no stream
_SILENCE = 60.0  # seconds; a gateway sends a comment every 15
_AGAIN = (429, 502, 503, 504)
_STEPS = {
    -32001: "`lambdaagent tasks list {agent}` lists your tasks",
    404: "`lambdaagent agents list` lists the agents",
    413: "send less; the gateway's LAMBDAAGENT_MAX_BODY_BYTES is the limit",
    429: "send it again later",
    503: "send it again later",
}


class RpcError(LambdaAgentError):
    """The gateway or the agent answered with an error of JSON-RPC."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class BrokenStreamError(TemporaryError):
    """A stream ended before its task did, and can be continued."""


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    result: Json
    """One of `task`, `message`, `statusUpdate` and `artifactUpdate`."""


@dataclass(frozen=True, slots=True)
class A2aClient:
    gateway: Gateway
    agent: Agent

    def call(self, method: str, params: Json, *, key: str = "") -> Json:
        """Return the result of a method. `key` makes a message that is sent twice one task. Raises LambdaAgentError."""
        headers = [(versions.HEADER, "1.0"), *([("Idempotency-Key", key)] if key else [])]
        try:
            answer = self.gateway.call("POST", self.agent.path, body=_request(method, params), headers=headers)
        except RefusedError as error:
            raise self._advised(error) from None
        return self._result(answer)

    def stream(self, method: str, params: Json, *, key: str = "", after: str = "") -> Generator[Event, None, None]:
        """Yield the events of a method's stream, those after the event `after`.

        Raises BrokenStreamError, TemporaryError for a gateway that cannot be reached, and other LambdaAgentErrors.
        """
        headers = {versions.HEADER: "1.0", "Content-Type": media_types.JSON, "Accept": media_types.EVENT_STREAM}
        headers |= {"Idempotency-Key": key} if key else {}
        headers |= {"Last-Event-ID": after} if after else {}
        headers |= {"Authorization": f"Bearer {self.gateway.token}"} if self.gateway.token else {}
        with asyncio.Runner() as runner:
            events = self._events(orjson.dumps(_request(method, params)), headers)
            try:
                while (event := runner.run(_next(events))) is not None:
                    yield event
            finally:
                runner.run(_close(events))

    async def _events(self, body: bytes, headers: dict[str, str]) -> AsyncGenerator[Event, None]:
        url = f"{self.gateway.url}{self.agent.path}"
        gateway_client.require_http(url)
        try:
            async with (
                gateway_client.session(silence=_SILENCE) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200 or response.content_type != media_types.EVENT_STREAM:
                    self._refuse(response.status, await gateway_client.beginning(response, _ERROR))
                decoder = SseDecoder(limit=_EVENT)
                async for chunk in response.content.iter_any():
                    for text in decoder.feed(chunk):
                        yield Event(decoder.last_event_id, self._result(bounded_json.loads(text.encode())))
        except aiohttp.ClientConnectorError as error:
            why = f"{hide(self.gateway.url)} cannot be reached: {unreachable(error)}"
            raise TemporaryError(f"{why}; name the gateway with --url or LAMBDAAGENT_GATEWAY_URL") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BrokenStreamError(unreachable(error)) from None
        except ValueError as error:
            raise LambdaAgentError(f"the answer of {self.agent.key} cannot be read: {error}") from None

    def _refuse(self, status: int, body: bytes) -> None:
        if status != 200:
            raise self._advised(refusal(self.gateway.url, status, body))
        self._result(orjson.loads(body))
        raise LambdaAgentError(f"{self.gateway.url} answered a stream with something else; check --url")

    def _result(self, answer: object) -> Json:
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            code = error.get("code")
            known = code if isinstance(code, int) else 0
            said = one_line(str(error.get("message", "")))
            raise RpcError(known, f"{self.agent.key}: {said}{self._step(known)}")
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise LambdaAgentError(f"{self.gateway.url} answered what is not JSON-RPC; check --url")
        return result

    def _advised(self, error: RefusedError) -> RefusedError:
        return RefusedError(error.status, f"{error}{self._step(error.status)}", error.faults)

    def _step(self, number: int) -> str:
        step = _STEPS.get(number)
        return f" ({step.format(agent=self.agent.key)})" if step else ""


def is_passing(error: LambdaAgentError) -> bool:
    """Return whether the same request may succeed later."""
    return isinstance(error, TemporaryError) or (isinstance(error, RefusedError) and error.status in _AGAIN)


def _request(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}


async def _next(events: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(events, None)


async def _close(events: AsyncGenerator[Event, None]) -> None:
    await events.aclose()
