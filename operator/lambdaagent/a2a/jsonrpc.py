"""JSON-RPC 2.0 as A2A uses it: one request, one response, HTTP 200 for errors too; batches are refused."""

from dataclasses import dataclass
from typing import Any

import orjson

from lambdaagent import json_slices
from lambdaagent.a2a import Json, parsing
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.versions import Version

Id = str | int | float | orjson.Fragment | None
"""A Fragment is the text of a number as the client wrote it: a decimal, or an integer over 64 bits."""

METHODS: dict[str, tuple[Version, Operation]] = {
    "SendMessage": (Version.V1, Operation.SEND),
    "SendStreamingMessage": (Version.V1, Operation.STREAM),
    "GetTask": (Version.V1, Operation.GET),
    "ListTasks": (Version.V1, Operation.LIST),
    "CancelTask": (Version.V1, Operation.CANCEL),
    "SubscribeToTask": (Version.V1, Operation.SUBSCRIBE),
    "CreateTaskPushNotificationConfig": (Version.V1, Operation.PUSH_PUT),
    "GetTaskPushNotificationConfig": (Version.V1, Operation.PUSH_GET),
    "ListTaskPushNotificationConfigs": (Version.V1, Operation.PUSH_LIST),
    "DeleteTaskPushNotificationConfig": (Version.V1, Operation.PUSH_DROP),
    "GetExtendedAgentCard": (Version.V1, Operation.EXTENDED_CARD),
    "message/send": (Version.V03, Operation.SEND),
    "message/stream": (Version.V03, Operation.STREAM),
    "tasks/get": (Version.V03, Operation.GET),
    "tasks/cancel": (Version.V03, Operation.CANCEL),
    "tasks/resubscribe": (Version.V03, Operation.SUBSCRIBE),
    "tasks/pushNotificationConfig/set": (Version.V03, Operation.PUSH_PUT),
    "tasks/pushNotificationConfig/get": (Version.V03, Operation.PUSH_GET),
    "tasks/pushNotificationConfig/list": (Version.V03, Operation.PUSH_LIST),
    "tasks/pushNotificationConfig/delete": (Version.V03, Operation.PUSH_DROP),
    "agent/getAuthenticatedExtendedCard": (Version.V03, Operation.EXTENDED_CARD),
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A JSON-RPC request, whose method may be any."""

    id: Id
    method: str
    params: object

    def named_params(self) -> Json:
        """Raises RequestError for parameters that have no names."""
        if self.params is None:
            return {}
        if not isinstance(self.params, dict):
            raise _bad(Problem.INVALID_PARAMS, "The request's params must be an object.", self.id)
        return self.params


@dataclass(frozen=True, slots=True)
class Request:
    id: Id
    method: str
    params: Json
    version: Version
    operation: Operation


class RequestError(A2AError):
    """An error with the request's id for the response, as far as the id could be read."""

    id: Id = None


def parse(body: bytes) -> Request:
    """Raises RequestError, and A2AError for what is not JSON."""
    return of_a2a(read(body))


def read(body: bytes) -> Envelope:
    """Raises RequestError, and A2AError for what is not JSON."""
    message = parsing.parse(body)
    if not isinstance(message, dict):
        kind = "a batch, which A2A does not use" if isinstance(message, list) else "not an object"
        raise RequestError(Problem.INVALID_REQUEST, f"The request is {kind}; send one JSON-RPC 2.0 request.")
    id_: Id = message.get("id")
    id_ok = id_ is None or (isinstance(id_, (str, int, float)) and not isinstance(id_, bool))
    if isinstance(id_, float):
        id_ = _as_written(body)
    method = message.get("method")
    if message.get("jsonrpc") != "2.0":
        raise _bad(Problem.INVALID_REQUEST, 'The request lacks "jsonrpc": "2.0".', id_ if id_ok else None)
    if not id_ok:
        raise _bad(Problem.INVALID_REQUEST, "The request's id must be a string, a number or null.", None)
    if not isinstance(method, str):
        raise _bad(Problem.INVALID_REQUEST, "The request's method must be a string.", id_)
    return Envelope(id_, method, message.get("params"))


def of_a2a(asked: Envelope) -> Request:
    """Return the request with its operation. Raises RequestError."""
    known = METHODS.get(asked.method)
    if known is None:
        raise _bad(Problem.METHOD_NOT_FOUND, f"There is no method {asked.method[:64]!r}.", asked.id)
    return Request(id=asked.id, method=asked.method, params=asked.named_params(), version=known[0], operation=known[1])


def result(id_: Id, value: Any) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": id_, "result": value})


def error(id_: Id, problem: A2AError) -> bytes:
    body = {"code": problem.problem.value.code, "message": str(problem), "data": problem.details()}
    return failed(id_, body)


def failed(id_: Id, body: Json) -> bytes:
    """Return the response with an error that is written already."""
    return orjson.dumps({"jsonrpc": "2.0", "id": id_, "error": body})


def _as_written(body: bytes) -> orjson.Fragment:
    """Return the id's own text: the JSON library reads an integer over 64 bits as the nearest float."""
    texts = [text for name, _, text in json_slices.members(body.decode()) if name == "id"]
    return orjson.Fragment(texts[-1].encode())


def _bad(problem: Problem, message: str, id_: Id) -> RequestError:
    raised = RequestError(problem, message)
    raised.id = id_
    return raised
