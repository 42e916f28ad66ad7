"""A connection to one API server: who we are, where it is, and one request with one deadline.

`kubernetes.aio` brings the configuration (kubeconfig, service account, token refresh, TLS) and the pooled transport.
Its generated methods are not used: they take no field validation for some verbs, and models would drop fields of kinds
that they do not know. Every request has a deadline; the library's default is five minutes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from lambdaagent.errors import UsageError
from lambdaagent.kube import errors

TIMEOUT = 30.0
_CONNECT_TIMEOUT = 10.0
_JSON = "application/json"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubeClient:
    """Made by `connect`; `namespace` is the one to work in when nobody says another."""

    def __init__(self, api: Any, *, namespace: str, timeout: float) -> None:
        self._api = api
        self.namespace = namespace
        self._timeout = timeout

    async def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        target: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: float | None = None,
    ) -> Any:
        """The parsed answer; raises an ApiError that says what could not be done (`action`) to what (`target`)."""
        limit = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(limit):
                answer = await self._send(method, path, query, body, content_type, accept, _limits(total=limit))
                try:
                    raw = await answer.read()
                finally:
                    answer.release()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise errors.unreachable(problem, action=action, target=target) from problem
        if answer.status >= 400:
            raise errors.error(errors.Refusal.parse(answer.status, raw), action=action, target=target)
        return orjson.loads(raw) if raw else None

    @asynccontextmanager
    async def lines(
        self, path: str, *, target: str, query: Mapping[str, str], silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A streamed answer, line by line; `silence` seconds without a byte are an UnavailableError."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._send("GET", path, query, None, _JSON, _JSON, _limits(read=silence))
                refused = await answer.read() if answer.status >= 400 else None
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise errors.unreachable(problem, action="watch", target=target) from problem
        try:
            if refused is not None:
                raise errors.error(errors.Refusal.parse(answer.status, refused), action="watch", target=target)
            yield _read_lines(answer, target=target)
        finally:
            # Not release(): the rest of a watch never comes, the connection is of no more use.
            answer.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content_type: str,
        accept: str,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        verb, url, headers, payload, _ = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        sent = await self._api.call_api(verb, url, headers, payload, None, timeout)
        answer: aiohttp.ClientResponse = sent.response
        return answer


async def _read_lines(answer: aiohttp.ClientResponse, *, target: str) -> AsyncIterator[bytes]:
    rest = b""
    try:
        # Not readline(): an object may be larger than the buffer's limit.
        async for chunk in answer.content.iter_any():
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                if line:
                    yield line
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        raise errors.unreachable(problem, action="watch", target=target) from problem


def _limits(*, total: float | None = None, read: float | None = None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=_CONNECT_TIMEOUT, sock_read=read)


@asynccontextmanager
async def connect(
    *, kubeconfig: Path | None = None, context: str | None = None, timeout: float = TIMEOUT
) -> AsyncIterator[KubeClient]:
    """The given kubeconfig, else $KUBECONFIG, else the pod's service account, else ~/.kube/config."""
    from kubernetes.aio import client as library

    configuration: Any = library.Configuration()
    namespace = await _configure(configuration, kubeconfig=kubeconfig, context=context)
    # Watches keep their connections: a hundred of them (ten namespaces) would be all that the library allows.
    configuration.connection_pool_maxsize = 0
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    configuration.client_session_kwargs = {"trust_env": False}
    async with library.ApiClient(configuration) as api:
        yield KubeClient(api, namespace=os.environ.get("POD_NAMESPACE") or namespace or "default", timeout=timeout)


def _proxy(url: str) -> str | None:
    """What the environment says, asked once: aiohttp asks at every request, and reads ~/.netrc in a thread for it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def _configure(configuration: Any, *, kubeconfig: Path | None, context: str | None) -> str:
    """Fills the configuration; returns the namespace that it names, or an empty string."""
    from kubernetes.aio import config
    from kubernetes.aio.config import ConfigException

    library: Any = config  # has no annotations
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    try:
        if not named and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
            library.load_incluster_config(client_configuration=configuration)
            own = _SERVICE_ACCOUNT / "namespace"
            return own.read_text().strip() if own.exists() else ""
        loader: Any = await library.load_kube_config(
            config_file=named or "~/.kube/config",
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, OSError) as problem:
        raise UsageError(
            f"no Kubernetes API server to talk to: {problem}. Set KUBECONFIG to a kubeconfig file that can be read, or "
            f"run this in a pod with a service account."
        ) from problem
    found = loader.current_context.get("context", {}).get("namespace")
    return str(found or "")
