"""Relays messages of the Model Context Protocol between standard input and output and a gateway.

Each line of the input is one message and becomes one request of HTTP; what comes back, as JSON or as a stream of
events, becomes lines of the output. Requests run at the same time. A host that cancels one closes it, and so does the
end of the input.

Invariant: nothing but messages is written to standard output. Each request gets one response unless it is cancelled.

Hazard: the host chooses how much it writes and whether it reads. Open requests and messages are limited, and neither
thread of the input and output is waited for at the end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import aiohttp
import orjson

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json
from lambdaagent.api import naming
from lambdaagent.cancellation import cancel
from lambdaagent.cli import mcp_answers, stdio
from lambdaagent.cli.gateway_client import credential
from lambdaagent.cli.processes import read_settings
from lambdaagent.errors import UsageError
from lambdaagent.events.event_urls import hide
from lambdaagent.mcp import param_headers
from lambdaagent.mcp.client import header_value
from lambdaagent.mcp.envelope import METHOD_HEADER, NAME_HEADER, NAMED, VERSION_HEADER
from lambdaagent.mcp.protocol import MODERN, VERSION_KEY, Code
from lambdaagent.settings import TrustSettings
from lambdaagent.trust import unreachable

_MOST = 64  # requests at once
_PAGES, _TOOLS = 100, 10_000  # of lists of tools
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 120.0  # a gateway sends a ping every 15 seconds where a response takes long
_GRACE = 1.0  # seconds for open requests after the end of the input: a host waits about two


def endpoint(url: str, *, namespace: str, agent: str) -> str:
    """Return the URL of the endpoint. Raises UsageError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"--url {hide(url)}: is no http or https URL of a gateway")
    if namespace and agent:
        raise UsageError("give either --namespace or --agent")
    base = url.rstrip("/")
    if "mcp" in parts.path.split("/"):
        if namespace or agent:
            raise UsageError("--url names the endpoint already; leave --namespace and --agent out")
        return base
    if agent:
        names = agent.split("/")
        if len(names) != 2 or not naming.is_label(*names):
            raise UsageError(f"--agent {agent}: give it as NAMESPACE/NAME")
        return f"{base}/agents/{agent}/mcp"
    if namespace and not naming.is_label(namespace):
        raise UsageError(f"--namespace {namespace}: is no name of a namespace")
    return f"{base}/mcp/{namespace}" if namespace else f"{base}/mcp"


async def run(url: str, token: str, token_file: str) -> None:
    """Relay until the input ends. Raises UsageError."""
    credential(token, token_file)  # a wrong one is told at once
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    connector = aiohttp.TCPConnector(ssl=read_settings(TrustSettings).trust.context(), limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        relay = Relay(session, url, token=token, token_file=token_file)
        try:
            async with stdio.lines() as lines:
                async for line in lines:
                    await relay.take(line)
            await relay.finish(_GRACE)
        finally:
            await relay.finish(0)


class Relay:
    def __init__(self, session: aiohttp.ClientSession, url: str, *, token: str, token_file: str) -> None:
        self._session = session
        self._url = url
        self._token = token
        self._token_file = token_file
        self._version = ""  # what a handshake agreed on
        self._schemas: dict[str, Json] = {}  # of tools whose arguments are repeated in headers
        self._open: dict[str | int, asyncio.Task[None]] = {}
        self._sent: set[asyncio.Task[None]] = set()  # of messages without a response
        self._output = stdio.Output()

    async def take(self, line: bytes) -> None:
        """Handle one line of the input, without waiting for its response."""
        try:
            if len(line) > stdio.LINE:
                raise ValueError(f"it is longer than {stdio.LINE} bytes")
            message = bounded_json.loads(line)
        except (ValueError, RecursionError) as error:
            await self._fail(None, Code.PARSE_ERROR, f"The line cannot be read: {error}.")
            return
        if not isinstance(message, dict):
            await self._fail(None, Code.INVALID_REQUEST, "The line is not one message of JSON-RPC.")
            return
        id_, method = message.get("id"), message.get("method")
        if method == "notifications/cancelled":
            params = message.get("params")
            await self._cancel(params.get("requestId") if isinstance(params, dict) else None)
        elif isinstance(method, str) and isinstance(id_, str | int) and not isinstance(id_, bool):
            await self._begin(id_, method, message, line)
        elif isinstance(method, str) and "id" in message:
            await self._fail(None, Code.INVALID_REQUEST, "The id of the request is neither a text nor a whole number.")
        else:  # a notification or a response, which has none
            if len(self._sent) >= _MOST:
                await asyncio.wait(self._sent, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._tell(message, line), name="mcp-tell")
            self._sent.add(task)
            task.add_done_callback(self._sent.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for the open requests up to this time, and close the rest."""
        tasks = [*self._open.values(), *self._sent]
        if tasks and seconds:
            await asyncio.wait(tasks, timeout=seconds)
        await cancel(*tasks)

    async def _begin(self, id_: str | int, method: str, message: Json, line: bytes) -> None:
        if id_ in self._open:
            await self._fail(id_, Code.INVALID_REQUEST, "A request with this id is open already.")
        elif len(self._open) >= _MOST:
            await self._fail(id_, Code.INTERNAL_ERROR, f"{_MOST} requests are open; wait for one of them.")
        else:
            task = asyncio.create_task(self._ask(id_, method, message, line), name="mcp-ask")
            self._open[id_] = task
            task.add_done_callback(lambda _: self._open.pop(id_, None))

    async def _cancel(self, id_: object) -> None:
        task = self._open.get(id_) if isinstance(id_, str | int) else None
        if task is not None:
            await cancel(task)  # its request is closed, by which a gateway cancels what it is for

    async def _ask(self, id_: str | int, method: str, message: Json, line: bytes) -> None:
        try:
            if not await self._relay(id_, method, message, line, learns=method == "tools/call"):
                await self._learn(message)
                await self._relay(id_, method, message, line, learns=False)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = f"{hide(self._url)} cannot be reached: {unreachable(error)}; check --url."
            await self._fail(id_, Code.INTERNAL_ERROR, why)
        except (ValueError, UsageError) as error:
            await self._fail(id_, Code.INTERNAL_ERROR, f"The request cannot be relayed: {error}.")

    async def _relay(self, id_: str | int, method: str, message: Json, line: bytes, *, learns: bool) -> bool:
        """Relay what answers a request. `learns`: return False in place of the error of a missing header."""
        async with self._post(message, line) as response:
            answered = False
            async for found in mcp_answers.messages(response):
                if "method" not in found:
                    if learns and mcp_answers.code_of(found) == Code.HEADER_MISMATCH:
                        return False
                    answered, found["id"] = True, id_
                    self._note(method, found)
                await self._write(found)
            if not answered:
                await self._fail(id_, Code.INTERNAL_ERROR, await mcp_answers.why(response))
        return True

    async def _learn(self, message: Json) -> None:
        """List the tools, to know which headers a call needs; a host over stdio does not know of headers."""
        params: Json = {"_meta": message.get("params", {}).get("_meta", {})}
        for _ in range(_PAGES):
            asked = {"jsonrpc": "2.0", "id": "tools", "method": "tools/list", "params": params}
            async with self._post(asked, orjson.dumps(asked)) as response:
                result: Json = {}
                async for found in mcp_answers.messages(response):
                    self._note("tools/list", found)
                    result = found.get("result") or {}
            if not (cursor := result.get("nextCursor")):
                return
            params = {**params, "cursor": cursor}

    async def _tell(self, message: Json, line: bytes) -> None:
        with suppress(aiohttp.ClientError, TimeoutError, ValueError, UsageError):  # nobody waits for an answer
            async with self._post(message, line):
                pass

    @asynccontextmanager
    async def _post(self, message: Json, line: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = self._headers(message)
        async with self._session.post(self._url, data=line, headers=headers, allow_redirects=False) as response:
            yield response

    def _headers(self, message: Json) -> dict[str, str]:
        headers = {"Content-Type": media_types.JSON, "Accept": f"{media_types.JSON}, {media_types.EVENT_STREAM}"}
        if token := credential(self._token, self._token_file):  # the file is read again: tokens are renewed
            headers["Authorization"] = f"Bearer {token}"
        method, params = message.get("method"), message.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
        if isinstance(version, str) and isinstance(params, dict):
            headers[VERSION_HEADER] = header_value(version)
            headers[METHOD_HEADER] = header_value(str(method))
            name = params.get(NAMED.get(str(method), ""))
            if isinstance(name, str):
                headers[NAME_HEADER] = header_value(name)
                arguments = params.get("arguments")
                if method == "tools/call" and isinstance(arguments, dict):
                    headers |= dict(param_headers.of_arguments(self._schemas.get(name), arguments))
        elif self._version and method != "initialize":
            headers[VERSION_HEADER] = self._version
        return headers

    def _note(self, method: str, response: Json) -> None:
        """Keep what later requests need of a response."""
        result = response.get("result")
        if not isinstance(result, dict):
            return
        if method == "initialize":
            version = result.get("protocolVersion")
            self._version = version if isinstance(version, str) and version not in MODERN and version.isascii() else ""
        tools = result.get("tools")
        for tool in tools if method == "tools/list" and isinstance(tools, list) else ():
            name, schema = (tool.get("name"), tool.get("inputSchema")) if isinstance(tool, dict) else (None, None)
            if isinstance(name, str):
                self._schemas.pop(name, None)
                if isinstance(schema, dict) and len(self._schemas) < _TOOLS and param_headers.of_schema(schema):
                    self._schemas[name] = schema

    async def _fail(self, id_: str | int | None, code: Code, text: str) -> None:
        await self._write({"jsonrpc": "2.0", "id": id_, "error": {"code": int(code), "message": text}})

    async def _write(self, message: Json) -> None:
        await self._output.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
