"""Targets and headers: what the client refuses before it sends anything."""

import pytest
from tests.parts.http_client import fetch

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadTargetError
from lambdaagent.httpclient.wire import Headers, Target


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        pytest.param([("x", "a\r\nInjected: 1")], "/", id="a line break in a value"),
        pytest.param([("x", "a\nb")], "/", id="a line feed in a value"),
        pytest.param([("x", "a\0b")], "/", id="a NUL"),
        pytest.param([("x\r\ny", "a")], "/", id="a line break in a name"),
        pytest.param([("bad name", "a")], "/", id="a space in a name"),
        pytest.param([("Content-Length", "7")], "/", id="framing of one's own"),
        pytest.param([("Host", "other")], "/", id="a host of one's own"),
        pytest.param([], "/ HTTP/1.1\r\nx: y\r\n\r\n", id="a line break in the path"),
        pytest.param([], "/a b", id="a space in the path"),
    ],
)
async def test_header_injection_is_refused_before_anything_is_sent(
    client: HttpClient, headers: Headers, path: str
) -> None:
    with pytest.raises(BadTargetError):
        await fetch(client, "http://127.0.0.1:1", headers=headers, path=path)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "nonsense", "http://x:99999", "http://x/a b"])
def test_a_url_that_cannot_be_called_is_named(url: str) -> None:
    with pytest.raises(BadTargetError, match="cannot be called"):
        Target.parse(url)


def test_a_target_knows_its_authority() -> None:
    assert Target.parse("http://h").authority == "h"
    assert Target.parse("https://h:8443/base/").authority == "h:8443"
    assert Target.parse("https://h:8443/base/").path == "/base"
    assert str(Target.parse("http://[::1]:80")) == "http://[::1]"
