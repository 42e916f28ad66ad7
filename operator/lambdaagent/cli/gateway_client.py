"""Requests of commands to a gateway: with a credential, over TLS with the installation's authorities, within limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from lambdaagent.errors import TemporaryError, UsageError

if TYPE_CHECKING:
    import aiohttp

_BYTES = 64 * 1024
_SECONDS = 60.0

Token = Annotated[
    str, typer.Option(envvar="LAMBDAAGENT_TOKEN", help="Credential for the gateway: a token or an API key.")
]
TokenFile = Annotated[str, typer.Option(help="File with the credential, in place of --token.")]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in small letters
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")[:1000]


def credential(token: str, token_file: str) -> str:
    """Raises UsageError, which shows no credential."""
    if token_file:
        try:
            token = Path(token_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file {token_file} cannot be read: {error}") from None
    if not token.strip().isprintable():
        raise UsageError("the credential has a line break or another control character")
    return token.strip()


def request(
    method: str,
    url: str,
    *,
    token: str,
    headers: Sequence[tuple[str, str]] = (),
    params: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
    most: int = _BYTES,
) -> Answer:
    """Return the answer with the first `most` bytes of its body.

    Raises UsageError for another kind of URL, TemporaryError for a gateway that cannot be reached."""
    import asyncio  # slow to load, and no help needs it

    require_http(url)
    own = [("Authorization", f"Bearer {token}")] if token else []
    return asyncio.run(_request(method, url, headers=[*headers, *own], params=params, body=body, most=most))


def session(*, total: float | None = None, silence: float | None = None) -> "aiohttp.ClientSession":
    """Return a client for the gateway: a response takes `total` seconds at most, a read `silence`."""
    import aiohttp

    from lambdaagent.cli.processes import read_settings
    from lambdaagent.settings import TrustSettings

    timeout = aiohttp.ClientTimeout(total=total, sock_connect=10, sock_read=silence)
    connector = aiohttp.TCPConnector(ssl=read_settings(TrustSettings).trust.context())
    return aiohttp.ClientSession(timeout=timeout, connector=connector)


def require_http(url: str) -> None:
    """Raises UsageError for another kind of URL."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"{url}: is no http or https URL")


async def _request(
    method: str,
    url: str,
    *,
    headers: Sequence[tuple[str, str]],
    params: Sequence[tuple[str, str]],
    body: bytes | None,
    most: int,
) -> Answer:
    import aiohttp

    from lambdaagent.events.event_urls import hide
    from lambdaagent.trust import unreachable

    try:
        async with (
            session(total=_SECONDS) as opened,
            opened.request(
                method, url, headers=headers, params=list(params) or None, data=body, allow_redirects=False
            ) as answer,
        ):
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, found, await beginning(answer, most))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TemporaryError(f"{hide(url)} cannot be reached: {unreachable(error)}") from None


async def beginning(response: "aiohttp.ClientResponse", most: int) -> bytes:
    """Return the first `most` bytes of a body."""
    text = bytearray()
    async for chunk in response.content.iter_any():
        text += chunk
        if len(text) > most:
            break
    return bytes(text[:most])
