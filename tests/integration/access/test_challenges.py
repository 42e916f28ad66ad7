"""The challenge of a 401 repeats a part of the path, which anybody chooses."""

from pathlib import Path

import pytest
from tests.integration.gateway.raw import head, said
from tests.parts.access import guarded

PLAIN = b'resource_metadata="http://x/.well-known/oauth-protected-resource"\r\n'


@pytest.mark.parametrize(
    "path",
    ["/agents/a%0d%0aX-Evil:%201/b/", "/agents/shop/b%0ac/api/a2a", "/agents/a%22,error=%22x/b/", "/agents/A/b/"],
    ids=["a line break", "a line break in a name", "a quotation mark", "no name of an agent"],
)
async def test_a_name_that_no_agent_has_is_not_in_the_challenge(tmp_path: Path, path: str) -> None:
    async with guarded(tmp_path / "access.yaml", {"audit": {"sink": "none"}}) as gateway:
        status, answer = await said(gateway, head(path, "Content-Length: 0"))
        assert status == 401
        assert PLAIN in answer
        assert b"Evil" not in answer.partition(b"\r\n\r\n")[0]
