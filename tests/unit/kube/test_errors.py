"""Which refusals of the API server are temporary."""

import json

import pytest

from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.kube.errors import ExpiredError, ForbiddenError, Refusal, TerminatingError, error


def status(code: int, message: str, reason: str = "") -> bytes:
    return json.dumps({"kind": "Status", "code": code, "message": message, "reason": reason}).encode()


@pytest.mark.parametrize(
    ("code", "body", "reason"),
    [
        pytest.param(409, status(409, "the object has been modified", "Conflict"), "Conflict", id="conflict"),
        pytest.param(429, status(429, "too many requests", "TooManyRequests"), "TooManyRequests", id="overload"),
        pytest.param(500, status(500, "etcdserver: request timed out"), "ApiServerError", id="etcd"),
        pytest.param(
            500,
            status(500, 'failed calling webhook "webhook.serving.knative.dev": connection refused', "InternalError"),
            "WebhookUnavailable",
            id="webhook down",
        ),
        pytest.param(503, b"upstream connect error", "ApiServerError", id="a proxy's own words"),
        pytest.param(504, status(504, "request did not complete", "Timeout"), "Timeout", id="server timeout"),
    ],
)
def test_what_may_pass_is_temporary(code: int, body: bytes, reason: str) -> None:
    found = error(Refusal.parse(code, body), action="apply", target="Service a/b")
    assert isinstance(found, TemporaryError)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("code", "body", "reason"),
    [
        pytest.param(
            500,
            status(
                500, "failed to create typed patch object (a/b; v1, Kind=X): .spec.typo: field not declared in schema"
            ),
            "UnknownField",
            id="unknown field under server-side apply",
        ),
        pytest.param(400, status(400, "strict decoding error", "BadRequest"), "BadRequest", id="bad request"),
        pytest.param(
            400, status(400, 'admission webhook "x" denied the request: bad', "BadRequest"), "BadRequest", id="denied"
        ),
        pytest.param(401, status(401, "Unauthorized", "Unauthorized"), "Unauthorized", id="unauthorized"),
        pytest.param(403, status(403, "exceeded quota", "Forbidden"), "Forbidden", id="quota"),
        pytest.param(404, b"404 page not found", "NotFound", id="kind not served"),
        pytest.param(413, b"[]", "RequestEntityTooLarge", id="too large"),
        pytest.param(422, status(422, "Invalid value", "Invalid"), "Invalid", id="invalid"),
    ],
)
def test_what_needs_a_person_is_permanent(code: int, body: bytes, reason: str) -> None:
    found = error(Refusal.parse(code, body), action="apply", target="Service a/b")
    assert isinstance(found, PermanentError)
    assert found.reason == reason
    assert str(found).startswith("cannot apply Service a/b: ")


def test_an_expired_version_asks_for_a_new_list() -> None:
    found = error(Refusal.parse(410, status(410, "too old resource version", "Expired")), action="watch", target="x")
    assert isinstance(found, ExpiredError)


def test_a_namespace_that_ends_is_told_from_a_missing_right() -> None:
    forbidden = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}
    ending = forbidden | {"details": {"causes": [{"reason": "NamespaceTerminating", "message": "it ends"}]}}
    found = [
        error(Refusal.parse(403, json.dumps(body).encode()), action="apply", target="Service a/b")
        for body in (forbidden, ending)
    ]
    assert [type(problem) for problem in found] == [ForbiddenError, TerminatingError]
