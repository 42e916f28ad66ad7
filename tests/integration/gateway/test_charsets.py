"""Request bodies in other charsets than UTF-8: they are read, or refused by the name of the charset."""

import pytest
from tests.parts.content_codings import A2A, SKILL, V1, rest, rpc
from tests.parts.gateway import World
from tests.parts.upstream import PlainAgent


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
async def test_json_of_any_unicode_form_is_read(echo: World, name: str) -> None:
    declared = f"application/json; charset={name}" if name == "utf-16-le" else "application/json"
    for path, written in ((A2A, rpc("grüß")), (f"{A2A}/message:send", rest("grüß"))):
        body = written.decode().encode(name)
        answer = await echo.request("POST", path, data=body, headers={**V1, "Content-Type": declared})
        assert "grüß" in answer.body.decode(), answer


async def test_an_unknown_charset_of_a_request_is_named(echo: World) -> None:
    headers = {**V1, "Content-Type": "application/json; charset=klingon"}
    for path in (A2A, f"{A2A}/message:send"):
        answer = await echo.request("POST", path, data=rpc("x"), headers=headers)
        assert b"'klingon' is not supported" in answer.body
        assert b"error" in answer.body


@pytest.mark.parametrize(
    ("kind", "body", "then", "arrives"),
    [
        pytest.param(
            "text/plain; charset=iso-8859-1",
            "grüß".encode("latin-1"),
            "text/plain; charset=utf-8",
            "grüß".encode(),
            id="Latin-1",
        ),
        pytest.param(
            "application/json; charset=utf-16",
            '{"a":"ü"}'.encode("utf-16"),
            "application/json; charset=utf-8",
            '{"a":"ü"}'.encode(),
            id="wide JSON",
        ),
        pytest.param("audio/x; charset=utf-16", b"\0\1", "audio/x; charset=utf-16", b"\0\1", id="bytes"),
    ],
)
async def test_a_text_that_goes_on_as_utf8_says_so(
    echo: World, container: PlainAgent, kind: str, body: bytes, then: str, arrives: bytes
) -> None:
    container.respond = lambda _: (200, {}, b"")
    headers = {"Content-Type": kind, "Prefer": "respond-async"}
    answer = await echo.request("POST", SKILL, data=body, headers=headers)
    await echo.ended((await answer.json())["id"])
    assert (container.seen[0].headers["content-type"], container.seen[0].body) == (then, arrives)
