"""Reads the agent card of an external A2A server: finds it, checks and bounds it, and asks later whether it changed.

Operator and gateway may both use it: it needs a URL and what was read before, and keeps nothing itself.

Hazard: authors of agents choose the URLs, and servers their answers. Only addresses that pass the check are dialled,
redirects are not followed, answers are limited in size, depth and time, and secret headers go to the agent's own origin
alone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import orjson
from yarl import URL

from lambdaagent import bounded_json
from lambdaagent.a2a import external_card, well_known
from lambdaagent.a2a.external_card import CardProblemError, CheckedCard
from lambdaagent.a2a.versions import HEADER
from lambdaagent.api.external import External
from lambdaagent.errors import TemporaryError
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks import address_check, failure_text
from lambdaagent.webhooks.address_check import CheckOf

_CARDS = (well_known.AGENT_CARD, well_known.LEGACY_AGENT_CARD)
_BYTES = 1024 * 1024
_LONGEST_ETAG = 256
_REDIRECTS = (301, 302, 303, 307, 308)


class NoCardError(TemporaryError):
    """There is no card; the message is the cause and the next step. `reason` is that of a condition."""

    def __init__(self, text: str, *, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReadCard:
    """`place` and `etag` are where and as what it was read; an empty ETag means that the server gave none."""

    card: CheckedCard
    place: str
    etag: str = ""


async def read(
    external: External,
    headers: Sequence[tuple[str, str]] = (),
    *,
    before: ReadCard | None = None,
    seconds: float,
    check: CheckOf,
    trust: Trust = SYSTEM,
) -> ReadCard:
    """Return the card, which is `before` if the server says that it has not changed. `seconds` are for all requests.

    Raises NoCardError.
    """
    answers: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            for place in places(external, before):
                own = headers if external_card.same_origin(place, external.url) else ()
                known = before if before is not None and before.place == place else None
                found = await _at(place, own, external, known, seconds=seconds, check=check, trust=trust)
                if isinstance(found, ReadCard):
                    return found
                answers.append(f"{_shown(place)} {found}")
    except CardProblemError as error:
        raise NoCardError(f"{error}; correct the card", reason="CardInvalid") from None
    except TimeoutError:
        text = f"it did not serve its agent card within {seconds:.0f} s; check the server"
        raise NoCardError(text, reason="ServerUnreachable") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        hint = "check the server and external; an address that is not public must be allowed"
        raise NoCardError(f"{failure_text.why(error, seconds=seconds)}; {hint}", reason="ServerUnreachable") from None
    refused = any(answer.endswith(("answers 401", "answers 403")) for answer in answers)
    hint = "give a credential with external.headersFrom" if refused else "check the server, or set external.cardUrl"
    raise NoCardError(f"it serves no agent card: {', '.join(answers)}; {hint}", reason="NoCard")


def places(external: External, before: ReadCard | None = None) -> list[str]:
    """Return the URLs at which the card may be, in the order in which they are tried: where it was, below the URL (a
    server of several agents has another card, or none, at its root), at the root.
    """
    if external.card_url is not None:
        return [external.card_url]
    parts = urlsplit(external.url)
    root = f"{parts.scheme}://{parts.netloc}"
    below = root + parts.path.rstrip("/")
    found = [f"{base}{card}" for base in (below, root) for card in _CARDS]
    return list(dict.fromkeys([before.place, *found] if before is not None else found))


async def _at(
    place: str,
    headers: Sequence[tuple[str, str]],
    external: External,
    before: ReadCard | None,
    *,
    seconds: float,
    check: CheckOf,
    trust: Trust,
) -> ReadCard | str:
    """Return the card at a URL, or what it answered instead. Raises CardProblemError, and as aiohttp's client does."""
    sent = {HEADER: "1.0", "Accept": "application/json", "Accept-Encoding": "identity", **dict(headers)}
    if before is not None and before.etag:
        sent["If-None-Match"] = before.etag
    async with _response(place, sent, seconds=seconds, check=check, trust=trust) as response:
        if response.status == 304 and before is not None:
            return before
        if response.status in _REDIRECTS:
            return f"answers {response.status}, and redirects are not followed"
        if response.status != 200:
            return f"answers {response.status}"
        body = await _body(response)
        etag = response.headers.get("ETag", "")
    try:
        card = external_card.checked(bounded_json.loads(body), external)
    except (orjson.JSONDecodeError, bounded_json.BoundError):
        return "is not JSON, or nested too deeply"
    plain = len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable()
    return ReadCard(card, place, etag if plain else "")


@asynccontextmanager
async def _response(
    place: str, headers: dict[str, str], *, seconds: float, check: CheckOf, trust: Trust
) -> AsyncIterator[aiohttp.ClientResponse]:
    checked = check(urlsplit(place).hostname or "")
    async with (
        address_check.session(checked, seconds=seconds, trust=trust, decompress=False) as session,
        session.get(URL(place, encoded=True), headers=headers, allow_redirects=False) as response,
    ):
        yield response


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Raises CardProblemError if it is too long, or compressed."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise CardProblemError("its agent card is compressed, which was not asked for")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BYTES:
            raise CardProblemError(f"its agent card is larger than {_BYTES} bytes")
    return bytes(body)


def _shown(place: str) -> str:
    parts = urlsplit(place)
    return parts.path or "/"
