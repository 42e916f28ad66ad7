"""Lists the tools of one server: their names and the beginning of their descriptions, or what makes them skills."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from lambdaagent.a2a import Json, container_card, external_card
from lambdaagent.api.external import External
from lambdaagent.errors import TemporaryError
from lambdaagent.httpclient.errors import UpstreamError
from lambdaagent.mcp.client import ServerError, one_line
from lambdaagent.mcpclient.session import Session, connected
from lambdaagent.mcpclient.tools import all_tools
from lambdaagent.toolservers.transport import CheckedTransport
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.address_check import CheckOf

DESCRIPTION = 200  # characters
_BYTES = 2 * 1024 * 1024  # of one answer


class ListError(TemporaryError):
    """The tools cannot be listed; the message is the reason and has nothing of the credential."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Listing:
    version: str  # of the protocol
    tools: tuple[ListedTool, ...]
    ttl: float | None = None  # seconds for which the server says that the list is fresh


async def listing(
    url: str, headers: Sequence[tuple[str, str]], *, seconds: float, check: CheckOf, trust: Trust = SYSTEM
) -> Listing:
    """Return the tools; `seconds` are for all requests together. Raises ListError."""
    async with _session(url, headers, seconds=seconds, check=check, trust=trust) as session:
        tools = await all_tools(session, keep=_shortened)
        listed = tuple(ListedTool(each["name"], each["description"]) for each in tools.found)
        return Listing(session.peer.version, listed, tools.ttl)


@dataclass(frozen=True, slots=True)
class Skills:
    """`card` is what status keeps of the server as of a container."""

    version: str  # of the protocol
    card: Json
    ttl: float | None = None


async def skills(
    external: External,
    headers: Sequence[tuple[str, str]] = (),
    *,
    seconds: float,
    check: CheckOf,
    trust: Trust = SYSTEM,
) -> Skills:
    """Return an external agent's tools as skills; `seconds` are for all requests together. Raises ListError."""
    async with _session(external.url, headers, seconds=seconds, check=check, trust=trust) as session:
        tools = await all_tools(session, keep=_skill)
        kept = container_card.kept_tools((each["skill"] for each in tools.found), revision="")
        content = external_card.of_content(kept)
        card = kept | {"revision": external_card.revision(external, "mcp", content), "version": content}
        return Skills(session.peer.version, card, tools.ttl)


@asynccontextmanager
async def _session(
    url: str, headers: Sequence[tuple[str, str]], *, seconds: float, check: CheckOf, trust: Trust
) -> AsyncIterator[Session]:
    try:
        host = urlsplit(url).hostname or ""
        async with (
            asyncio.timeout(seconds),
            address_check.session(check(host), seconds=seconds, trust=trust, decompress=False) as http,
            connected(CheckedTransport(http, url, headers), limit=_BYTES, seconds=seconds) as session,
        ):
            yield session
    except TimeoutError:
        raise ListError(f"it did not list its tools within {seconds:.0f} s") from None
    except (UpstreamError, ServerError, ValueError) as error:
        raise ListError(str(error)) from None


def _skill(tool: Json) -> Json:
    """Return what is kept of a tool; schemas that are too large for status are not held until the last page is read."""
    return {"skill": container_card.skill_of_tool(tool)}


def _shortened(tool: Json) -> Json:
    said = tool.get("description") or tool.get("title")
    return {"name": tool["name"], "description": one_line(said, most=DESCRIPTION) if isinstance(said, str) else ""}
