"""The table of errors, compared with the specification and with what SDKs expect."""

import pytest
from a2a.utils.errors import A2A_REASON_TO_ERROR, JSON_RPC_ERROR_CODE_MAP

from lambdaagent.a2a import rest
from lambdaagent.a2a.errors import A2AError, Edition, Problem
from lambdaagent.a2a.versions import Version


@pytest.mark.parametrize(
    ("problem", "latest", "first"),
    [
        (Problem.TASK_NOT_FOUND, 404, 404),
        (Problem.TASK_NOT_CANCELABLE, 400, 409),
        (Problem.PUSH_NOT_SUPPORTED, 400, 400),
        (Problem.UNSUPPORTED_OPERATION, 400, 400),
        (Problem.CONTENT_TYPE, 400, 415),
        (Problem.INVALID_AGENT_RESPONSE, 500, 502),
        (Problem.NO_EXTENDED_CARD, 400, 400),
        (Problem.EXTENSION_REQUIRED, 400, 400),
        (Problem.VERSION, 400, 400),
    ],
)
def test_the_http_status_is_the_edition_s(problem: Problem, latest: int, first: int) -> None:
    assert problem.value.http_of(Edition.LATEST) == latest
    assert problem.value.http_of(Edition.FIRST) == first


@pytest.mark.parametrize(
    "problem", [problem for problem in Problem if problem not in (Problem.PARSE, Problem.PERMISSION_DENIED)]
)
def test_the_public_sdk_knows_the_error_by_its_reason_its_name_and_its_code(problem: Problem) -> None:
    known = A2A_REASON_TO_ERROR[problem.value.reason]
    assert known.__name__ == problem.value.name
    assert JSON_RPC_ERROR_CODE_MAP[known] == problem.value.code


@pytest.mark.parametrize("version", list(Version))
def test_the_rest_form_has_code_status_and_details(version: Version) -> None:
    body = rest.error(A2AError(Problem.TASK_NOT_FOUND, "Gone.", metadata={"taskId": "t"}), http=404, version=version)
    assert (body["error"]["code"], body["error"]["status"], body["error"]["message"]) == (404, "NOT_FOUND", "Gone.")
    assert body["error"]["details"][0]["reason"] == "TASK_NOT_FOUND"
    assert body["error"]["details"][0]["metadata"] == {"taskId": "t"}
    if version is Version.V1:
        assert body.keys() == {"error"}
    else:
        assert (body["type"], body["message"]) == ("TaskNotFoundError", "Gone.")
