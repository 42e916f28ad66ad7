"""A connection to one API server; every request has a deadline.

`kubernetes.aio` provides the configuration (kubeconfig, service account, token refresh, TLS) and the pooled transport.
Its generated methods are not used: some of them lack field validation, and its models would drop fields of kinds that
they do not know. Its default timeout is five minutes.
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
    """Created by `connect`; `namespace` is the default namespace."""

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
        """Return the parsed response. Raises an ApiError whose message names the failed `action` and its `target`."""
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
        """Yield a streamed response line by line. Raises UnavailableError after `silence` seconds without a byte."""
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
            # Not release(): the rest of a watch never arrives, so the connection cannot be used again.
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
        # Not readline(): an object may be larger than the limit of the buffer.
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
    """Connect by the given kubeconfig, else $KUBECONFIG, else the pod's service account, else ~/.kube/config.

    Raises UsageError if the configuration cannot be read.
    """
    from kubernetes.aio import client as library

    configuration: Any = library.Configuration()
    namespace = await _configure(configuration, kubeconfig=kubeconfig, context=context)
    # Each watch keeps a connection, and the library's limit would be reached by a hundred of them (ten namespaces).
    configuration.connection_pool_maxsize = 0
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    configuration.client_session_kwargs = {"trust_env": False}
    async with library.ApiClient(configuration) as api:
        yield KubeClient(api, namespace=os.environ.get("POD_NAMESPACE") or namespace or "default", timeout=timeout)


def _proxy(url: str) -> str | None:
    """Return the proxy from the environment. It is read once: aiohttp would read it, and ~/.netrc in a thread, at each
    request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def _configure(configuration: Any, *, kubeconfig: Path | None, context: str | None) -> str:
    """Fill in the configuration; return the namespace that it names, or an empty string."""
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
