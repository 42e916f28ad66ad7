import orjson
import pytest

from lambdaagent.a2a import parsing
from lambdaagent.a2a.errors import A2AError, Problem


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("depth", [1, 100, 200])
def test_what_is_nested_as_deep_as_anybody_needs_is_taken_and_can_be_written_again(depth: int) -> None:
    assert orjson.dumps(parsing.parse(nested(depth))) == nested(depth)


@pytest.mark.parametrize("depth", [254, 1000])
def test_what_could_be_read_and_not_written_is_refused(depth: int) -> None:
    with pytest.raises(A2AError, match="nested too deep") as raised:
        parsing.parse(nested(depth))
    assert raised.value.problem is Problem.INVALID_REQUEST


def test_many_brackets_that_are_not_nested_are_taken() -> None:
    assert len(parsing.parse(orjson.dumps([[]] * 1000))) == 1000


@pytest.mark.parametrize(
    "body", [b"", b"{", b'"\\ud800"', b'"\xed\xa0\x80"', b"NaN", b"1e400", b"\xef\xbb\xbf{}", nested(2000)]
)
def test_what_is_not_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(A2AError) as raised:
        parsing.parse(body)
    assert raised.value.problem is Problem.PARSE
