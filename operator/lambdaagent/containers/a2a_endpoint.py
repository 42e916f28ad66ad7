"""The endpoint of a container that is an A2A server: path, version and streaming, from its card or from the resource.

Only the path of a card's URL is used: its host may not be the one at which the gateway reaches the container.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lambdaagent import bounded_json
from lambdaagent.a2a import Json, interfaces, well_known
from lambdaagent.a2a.versions import HEADER, Version
from lambdaagent.containers.callee import Callee, ExternalServer
from lambdaagent.events import charsets
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.codings import ACCEPT_ENCODING
from lambdaagent.httpclient.errors import BadAnswerError
from lambdaagent.httpclient.wire import Target

_CARDS = (well_known.AGENT_CARD, well_known.LEGACY_AGENT_CARD)
_SEND, _STREAM = "message:send", "message:stream"
_OPERATIONS = (f"/{_SEND}", f"/{_STREAM}")
_OPERATION_PATHS = {"send": _SEND, "stream": _STREAM, "get": "tasks:get", "cancel": "tasks:cancel"}
_SECONDS = 10.0
_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class A2aEndpoint:
    path: str
    version: Version
    streaming: bool

    @property
    def per_operation(self) -> bool:
        """Whether JSON-RPC has one path per operation; such servers also require the context of a task."""
        return self.path.endswith(_OPERATIONS)

    def path_of(self, kind: str) -> str:
        """Return the path for `kind`: stream, send, get, cancel or list."""
        if not self.per_operation:
            return self.path
        return self.path.removesuffix(_SEND).removesuffix(_STREAM) + _OPERATION_PATHS.get(kind, _SEND)

    def of_task(self, remote: str, context_id: str) -> Json:
        """Return the parameters that name a task."""
        return {"id": remote, "contextId": context_id} if self.per_operation else {"id": remote}


class NoCardError(BadAnswerError):
    """None of the possible paths has a card. `for_now`: one of them may have it later."""

    def __init__(self, text: str, *, for_now: bool) -> None:
        super().__init__(text)
        self.for_now = for_now


async def find(
    client: HttpClient, callee: Callee, target: Target, *, told: Sequence[tuple[str, str]] = ()
) -> A2aEndpoint:
    """Return the endpoint from the card, which is read once per change of the agent. Raises UpstreamError.

    An external server's is known already, with the agent.

    If the resource names both path and version, the card is read only for streaming, and may be missing.
    """
    if callee.external is not None:
        return _of_external(callee.external)
    known = callee.prepared.get(_CARDS[0])
    if isinstance(known, A2aEndpoint):
        return known
    path, version = callee.container_path, callee.container_version
    try:
        found = _read(await read_card(client, target, callee, told=told), wanted=version)
    except BadAnswerError as error:
        if not path or version == "auto":
            raise
        found = A2aEndpoint(path, Version(version), streaming=False)
        if isinstance(error, NoCardError) and error.for_now:
            return found
    if path:
        found = A2aEndpoint(path, found.version, found.streaming)
    callee.prepared[_CARDS[0]] = found
    return found


def _of_external(server: ExternalServer) -> A2aEndpoint:
    found = server.endpoint
    if found is None:
        raise BadAnswerError("its agent card is not known yet; see the agent's condition ServingReady")
    return A2aEndpoint(_path(found.url), Version(found.protocol_version), found.streaming)


def card_paths(callee: Callee) -> list[str]:
    """Return the paths at which the container's card may be, in the order in which they are tried.

    Paths below the container's endpoint come first: a server of several agents has another card, or none, at its root.
    """
    if callee.container_card_path:
        return [callee.container_card_path]
    below = callee.container_path.rstrip("/")
    return list(dict.fromkeys([f"{below}{card}" for card in _CARDS] + list(_CARDS)))


async def read_card(client: HttpClient, target: Target, callee: Callee, *, told: Sequence[tuple[str, str]] = ()) -> Any:
    """Return the container's card, parsed and unchecked. `told` are headers that say who asks.

    Raises UpstreamError; NoCardError names each path and its response.
    """
    answers: list[str] = []
    for_now = False
    for path in card_paths(callee):
        response = await client.request(
            target,
            method="GET",
            path=path,
            headers=[(HEADER, "1.0"), ACCEPT_ENCODING, *told],
            first_byte=_SECONDS,
            total=_SECONDS,
        )
        async with response:
            body = await response.read(limit=_LIMIT)
        if response.status == 200:
            try:
                return bounded_json.loads(charsets.json(body, response.header("content-type") or ""))
            except ValueError:
                answers.append(f"{path} is not JSON")
        else:
            answers.append(f"{path} answers {response.status}")
            for_now = for_now or response.status >= 500
    text = f"it has no card: {', '.join(answers)}; see spec.a2a.protocol and spec.a2a.container"
    raise NoCardError(text, for_now=for_now)


def _read(card: Any, *, wanted: str) -> A2aEndpoint:
    """Return the endpoint of the version `wanted`; with auto, 1.0 is preferred to 0.3. Raises BadAnswerError."""
    if not isinstance(card, dict):
        raise BadAnswerError("its card is not an object")
    streaming = interfaces.streams(card)
    offered: dict[Version, str] = {}
    for offer, url in interfaces.json_rpc(card):
        offered.setdefault(offer, _path(url))
    for version in Version:
        if version in offered and wanted in ("auto", version):
            return A2aEndpoint(offered[version], version, streaming)
    raise BadAnswerError(
        f"its card offers no JSON-RPC in version {wanted if wanted != 'auto' else '1.0 or 0.3'}, but "
        f"{', '.join(offered) or 'none'}"
    )


def _path(url: Any) -> str:
    """Return the URL's path with its query, by which some servers of several agents distinguish them."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if parts is None:
        return "/"
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
