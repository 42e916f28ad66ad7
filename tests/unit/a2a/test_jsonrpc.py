import orjson
import pytest
from tests.parts.a2a_schemas import check_v03

from lambdaagent.a2a import jsonrpc, modes, versions
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.jsonrpc import METHODS, RequestError
from lambdaagent.a2a.operations import Operation, unsupported
from lambdaagent.a2a.versions import Version


@pytest.mark.parametrize(
    ("body", "problem", "id_"),
    [
        pytest.param(b"{", Problem.PARSE, None, id="not JSON"),
        pytest.param(b"[]", Problem.INVALID_REQUEST, None, id="a batch"),
        pytest.param(b"7", Problem.INVALID_REQUEST, None, id="a number"),
        pytest.param(b"{}", Problem.INVALID_REQUEST, None, id="empty"),
        pytest.param(b'{"jsonrpc":"1.0","id":3,"method":"GetTask"}', Problem.INVALID_REQUEST, 3, id="another JSON-RPC"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":[],"method":"GetTask"}', Problem.INVALID_REQUEST, None, id="an id that is a list"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":true,"method":"GetTask"}', Problem.INVALID_REQUEST, None, id="an id that is true"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":"x","method":7}', Problem.INVALID_REQUEST, "x", id="a method that is a number"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":"x","method":"tasks/steal"}', Problem.METHOD_NOT_FOUND, "x", id="an unknown method"
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":"x","method":"GetTask","params":[]}',
            Problem.INVALID_PARAMS,
            "x",
            id="params in a list",
        ),
    ],
)
def test_a_bad_request_is_told_with_its_id_as_far_as_it_is_one(body: bytes, problem: Problem, id_: object) -> None:
    with pytest.raises(A2AError) as raised:
        jsonrpc.parse(body)
    said = raised.value.id if isinstance(raised.value, RequestError) else None
    assert (raised.value.problem, said) == (problem, id_)


def test_method_names_tell_the_version() -> None:
    assert {version for version, _ in METHODS.values()} == set(Version)
    for name, (version, _) in METHODS.items():
        assert ("/" in name) is (version is Version.V03)


@pytest.mark.parametrize("problem", list(Problem))
def test_every_error_is_a_json_rpc_error_with_a_reason(problem: Problem) -> None:
    answer = orjson.loads(jsonrpc.error("x", A2AError(problem, metadata={"k": "v"})))
    assert answer["error"]["data"][0]["reason"] == problem.value.reason
    assert answer["error"].keys() == {"code", "message", "data"}
    if problem in (Problem.TASK_NOT_FOUND, Problem.INVALID_PARAMS, Problem.CONTENT_TYPE):
        check_v03("JSONRPCErrorResponse", answer)


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (Operation.PUSH_GET, Problem.PUSH_NOT_SUPPORTED),
        (Operation.STREAM, Problem.UNSUPPORTED_OPERATION),
        (Operation.EXTENDED_CARD, Problem.UNSUPPORTED_OPERATION),
    ],
)
def test_what_is_not_offered_is_unsupported_and_not_unknown(operation: Operation, problem: Problem) -> None:
    assert unsupported(operation).problem is problem


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("1.0", Version.V1),
        ("1.0.3", Version.V1),
        ("0.3", Version.V03),
        ("0.3.0", Version.V03),
    ],
)
def test_versions_are_read_without_their_patch(said: str | None, version: Version | None) -> None:
    assert versions.parse(said) is version


@pytest.mark.parametrize("said", ["99.0", "1", "1.1", "v1.0", "0.2", "1.0-beta"])
def test_any_other_version_is_refused(said: str) -> None:
    with pytest.raises(A2AError) as raised:
        versions.parse(said)
    assert raised.value.problem is Problem.VERSION


def test_a_version_that_the_agent_does_not_offer_is_refused() -> None:
    versions.require(Version.V1, offered=["1.0"])
    with pytest.raises(A2AError, match=r"offers 1\.0"):
        versions.require(Version.V03, offered=["1.0"])


@pytest.mark.parametrize(
    ("accepted", "media_type", "expected"),
    [
        (["text"], "text/plain", True),
        (["json"], "application/json", True),
        (["image/*"], "image/png", True),
        (["*/*"], "x/y", True),
        (["text"], "application/json", False),
        ([], "text/plain", False),
    ],
)
def test_modes_cover_media_types(accepted: list[str], media_type: str, expected: bool) -> None:
    assert modes.accepts(accepted, media_type) is expected


def test_a_part_counts_as_what_it_says_or_holds() -> None:
    kinds = [
        modes.part_media_type(part)
        for part in ({"text": ""}, {"data": 1}, {"raw": ""}, {"url": "", "mediaType": "Image/PNG; q=1"})
    ]
    assert kinds == ["text/plain", "application/json", "application/octet-stream", "image/png"]
