"""JSON-RPC requests to a container that is an A2A server, as its version's SDK would send them, and their results.

Every response is limited in size and time. A container's error text is shortened and stripped of likely credentials
before it is passed on.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import orjson

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json, v03
from lambdaagent.a2a.versions import HEADER, Version
from lambdaagent.clock import Clock
from lambdaagent.containers import responses
from lambdaagent.containers.a2a_endpoint import A2aEndpoint
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.external import ExternalCalls
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.events import charsets
from lambdaagent.events.http import media_type
from lambdaagent.httpclient import sse_decoder
from lambdaagent.httpclient.client import HttpClient, Response
from lambdaagent.httpclient.codings import ACCEPT_ENCODING
from lambdaagent.httpclient.errors import BadAnswerError
from lambdaagent.httpclient.wire import Target

_METHODS = {
    Version.V1: {
        "stream": "SendStreamingMessage",
        "send": "SendMessage",
        "get": "GetTask",
        "cancel": "CancelTask",
        "list": "ListTasks",
    },
    Version.V03: {"stream": "message/stream", "send": "message/send", "get": "tasks/get", "cancel": "tasks/cancel"},
}
_EXTENSIONS = {Version.V1: "A2A-Extensions", Version.V03: "X-A2A-Extensions"}


class RemoteError(BadAnswerError):
    """The container answered with a JSON-RPC error; `said` is its message."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"it answers with the error {code}: {said}")
        self.code = code
        self.said = said


class A2aRequests:
    def __init__(
        self, *, client: HttpClient, clock: Clock, told: WhoAsks, external: ExternalCalls | None = None
    ) -> None:
        """With `external`, the requests are to external agents, and `client` is its client."""
        self._client = client
        self._clock = clock
        self._told = told
        self._external = external

    async def ask(
        self,
        target: Target,
        endpoint: A2aEndpoint,
        kind: str,
        params: Json,
        *,
        seconds: float,
        callee: Callee,
        origin: Origin,
        extensions: Sequence[str] = (),
    ) -> Response:
        """Send a request; `kind` is stream, send, get, cancel or list."""
        body = {
            "jsonrpc": "2.0",
            "id": self._clock.new_mark(),
            "method": _METHODS[endpoint.version][kind],
            "params": params,
        }
        headers = [
            ("content-type", media_types.JSON),
            ("accept", media_types.EVENT_STREAM if kind == "stream" else media_types.JSON),
            ACCEPT_ENCODING,
            (HEADER, str(endpoint.version)),
        ]
        headers += self._told.headers(callee, origin)
        if self._external is not None:
            headers += await self._external.headers(callee)
        if origin.traceparent:
            headers.append(("traceparent", origin.traceparent))
        if extensions:
            headers.append((_EXTENSIONS[endpoint.version], ", ".join(extensions)))
        return await self._client.request(
            target,
            path=endpoint.path_of(kind),
            headers=headers,
            body=orjson.dumps(body),
            first_byte=seconds,
            total=seconds,
        )

    async def one(
        self,
        target: Target,
        endpoint: A2aEndpoint,
        kind: str,
        params: Json,
        *,
        seconds: float,
        callee: Callee,
        origin: Origin,
    ) -> Any:
        """Return the result of a request that has a single one. Raises UpstreamError, NotCalledError."""
        asked = self.ask(target, endpoint, kind, params, seconds=seconds, callee=callee, origin=origin)
        async with await asked as response:
            return await anext(self.results(response), None)

    async def results(self, response: Response) -> AsyncGenerator[Any, None]:
        """Yield the result, or those of a stream as they arrive. Raises UpstreamError, ValueError."""
        limit, content_type = self._client.limits.body_bytes, response.header("content-type") or ""
        if media_type(content_type) == media_types.EVENT_STREAM:
            decoder = sse_decoder.SseDecoder(limit=limit, charset=charsets.declared(content_type) or charsets.UTF8)
            async for chunk in response.decoded(limit=None):
                for data in decoder.feed(chunk):
                    yield _result(data.encode(), response.status)
            for data in decoder.end():
                yield _result(data.encode(), response.status)
            return
        yield _result(charsets.json(await response.read(limit=limit), content_type), response.status)


def send_params(turn: Turn, version: Version, *, blocking: bool) -> Json:
    """Return the parameters of send and stream.

    Servers of 0.3 ignore a configuration without acceptedOutputModes, or fail.
    """
    message = {key: value for key, value in turn.message.items() if key != "taskId"} | {"contextId": turn.context_id}
    if turn.remote:
        message["taskId"] = turn.remote
    request = turn.request
    accepted = list(request.accepted_output_modes) if request is not None else []
    configuration: Json = {"acceptedOutputModes": accepted} if accepted or version is Version.V03 else {}
    if request is not None and request.history_length is not None:
        configuration["historyLength"] = request.history_length
    metadata = request.metadata if request is not None else {}
    if version is Version.V03:
        configuration["blocking"] = blocking
        return v03.downgrade_send(message, configuration=configuration, metadata=metadata)
    configuration["returnImmediately"] = not blocking
    params: Json = {"message": message, "configuration": configuration}
    return {**params, "metadata": metadata} if metadata else params


def _result(body: bytes, status: int) -> Any:
    """Return the JSON-RPC result. Raises BadAnswerError, or RemoteError with the container's error."""
    try:
        answer = bounded_json.loads(body)
    except bounded_json.BoundError as bound:
        raise BadAnswerError(f"its response is refused: {bound}") from None
    except orjson.JSONDecodeError:
        raise BadAnswerError(f"it answers {status}: {responses.excerpt(body) or 'an empty body'}") from None
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        error = answer["error"]
        code = error.get("code")
        raise RemoteError(
            code if isinstance(code, int) else 0, responses.excerpt(str(error.get("message", "")).encode())
        )
    if not isinstance(answer, dict) or "result" not in answer:
        raise BadAnswerError(f"it answers {status} without a JSON-RPC result: {responses.excerpt(body)}")
    return answer["result"]
