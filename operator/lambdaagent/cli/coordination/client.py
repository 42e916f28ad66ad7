"""Requests of the commands to a gateway, whose refusals become errors that name the next step."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from lambdaagent.cli import gateway_client
from lambdaagent.cli.printing import one_line
from lambdaagent.errors import LambdaAgentError, TemporaryError, UsageError

Json = dict[str, Any]
_BYTES = 32 * 1024 * 1024  # of an option's file
_ANSWER = 64 * 1024 * 1024  # bytes; a task may have half as many
_NEXT = {
    401: "give a credential with --token-file or LAMBDAAGENT_TOKEN",
    403: "`lambdaagent access explain --gateway URL` says who may do what",
}


class RefusedError(LambdaAgentError):
    """The gateway refused the request; `status` is that of its response, `faults` are those of a document."""

    def __init__(self, status: int, text: str, faults: Sequence[Json] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Gateway:
    url: str
    token: str

    @classmethod
    def of(cls, url: str, token: str, token_file: str) -> "Gateway":
        return cls(url.rstrip("/"), gateway_client.credential(token, token_file))

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        document: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """Return the JSON of the answer, None for one without. Raises LambdaAgentError.

        `body` is sent as JSON, `document` as the YAML that it is.
        """
        sent = document if body is None else orjson.dumps(body)
        kind = [] if sent is None else [("Content-Type", "application/yaml" if body is None else "application/json")]
        return self._call(method, path, params=params, sent=sent, headers=[*headers, *kind])[0]

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the items of a list, page by page, by the cursor of the answer's Link (RFC 8288)."""
        cursor = ""
        while True:
            found, headers = self._call("GET", path, params={**params, "cursor": cursor or None})
            yield from found
            link = urlsplit(headers.get("link", "").partition(">")[0].removeprefix("<"))
            cursor = parse_qs(link.query).get("cursor", [""])[0]
            if not cursor:
                return

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        sent: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> tuple[Any, Mapping[str, str]]:
        try:
            answer = gateway_client.request(
                method,
                f"{self.url}{path}",
                token=self.token,
                headers=headers,
                params=[(name, str(value)) for name, value in (params or {}).items() if value not in (None, "")],
                body=sent,
                most=_ANSWER,
            )
        except TemporaryError as error:
            raise TemporaryError(f"{error}; name the gateway with --url or LAMBDAAGENT_GATEWAY_URL") from None
        try:
            found = orjson.loads(answer.body) if answer.body else None
        except ValueError:
            found = None
        if not 200 <= answer.status < 300:
            raise refusal(self.url, answer.status, answer.body)
        if found is None and answer.body:
            raise LambdaAgentError(f"{self.url} answered what is not JSON: {answer.text[:200]}")
        return found, answer.headers


def refusal(url: str, status: int, body: bytes) -> RefusedError:
    """Return the error for a response of the gateway: a problem document, or an error of JSON-RPC."""
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    error = found.get("error") if isinstance(found, dict) else None
    detail = found.get("detail") if isinstance(found, dict) else None
    said = detail or (error.get("message") if isinstance(error, dict) else None)
    given = one_line(body[:200].decode("utf-8", "replace"))
    text = one_line(str(said)) if said else f"it is not a gateway of LambdaAgent: {given}"
    step = _NEXT.get(status)
    return RefusedError(status, f"{url} answered {status}: {text}" + (f" ({step})" if step else ""), _faults(found))


def _faults(found: Any) -> list[Json]:
    faults = found.get("errors") if isinstance(found, dict) else None
    return [each for each in faults if isinstance(each, dict)] if isinstance(faults, list) else []


def acting(agent: str) -> str:
    """Raises UsageError if nobody is named."""
    if not agent:
        raise UsageError("--from is missing: the agent as which you act, also as LAMBDAAGENT_AGENT")
    return agent


def in_path(id_: str) -> str:
    return quote(id_, safe="/")


def data(given: str, *, option: str = "--data") -> Json:
    """Return the JSON object of an option. Raises UsageError."""
    text = given
    if given.startswith("@"):
        try:
            text = sys.stdin.read(_BYTES) if given == "@-" else Path(given[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{option} {given}: cannot be read: {error}") from None
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{option}: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f'{option}: must be a JSON object, such as {{"text": "hello"}}')
    return found


def without_none(**fields: Any) -> Json:
    """Return the fields that were given; the gateway has defaults for the others."""
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
