"""The operator against a real API server, in the event loop of the test.

In every test here it has exactly the rights of `lambdaagent rbac`. `Cluster`, which tests use, has the administrator's.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import roles
from tests.parts.cluster import Cluster, Start
from tests.parts.knative_controllers import KnativeControllers
from tests.parts.kubernetes import KubeApiserver

from lambdaagent.controller.operator import run
from lambdaagent.kube import rights
from lambdaagent.settings import OperatorSettings


@pytest.fixture
def cluster(kube_apiserver: KubeApiserver, namespace: str) -> Cluster:
    return Cluster(kube_apiserver, namespace)


@pytest.fixture(scope="session")
def knative_controllers(kube_apiserver: KubeApiserver) -> Iterator[KnativeControllers]:
    """Starts the emulation of Knative's controllers, which work in no namespace until a test names one."""
    controllers = KnativeControllers(kube_apiserver.rest)
    controllers.start()
    yield controllers
    controllers.stop()


@pytest.fixture
def knative(knative_controllers: KnativeControllers, namespace: str) -> Iterator[KnativeControllers]:
    """Lets Knative's controllers work in the namespace of the test."""
    with knative_controllers.running(namespace) as running:
        yield running


@pytest.fixture
def applied(kube_apiserver: KubeApiserver, namespace: str) -> Iterator[str]:
    """Applies the accounts and rights of an installation in the namespace of the test, and yields it."""
    with roles.applied(kube_apiserver, namespace):
        yield namespace


@pytest.fixture
def kubeconfig(kube_apiserver: KubeApiserver, applied: str) -> Path:
    """Returns the operator's kubeconfig, in place of the administrator's."""
    return roles.kubeconfig(kube_apiserver, applied, rights.OPERATOR)


@pytest.fixture
def witness(kube_apiserver: KubeApiserver, kubeconfig: Path) -> Iterator[None]:
    """Asserts that the API server refuses no request during the test."""
    before = roles.refusals(kube_apiserver.rest)
    yield
    assert roles.refusals(kube_apiserver.rest) == before, "a right is missing in lambdaagent.kube.rights"


@pytest.fixture
async def start(
    kubeconfig: Path, witness: None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Start]:
    """Yields a function that starts the operator with settings and returns a function that stops it."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    tasks: list[asyncio.Task[None]] = []

    async def begin(**settings: Any) -> Callable[[], Awaitable[None]]:
        ready = asyncio.Event()
        chosen = OperatorSettings(
            **{"POD_NAMESPACE": namespace, "lease_duration": 3, "host": "127.0.0.1", "port": 0} | settings
        )
        tasks.append(asyncio.create_task(run(chosen, ready=ready)))
        await asyncio.wait([tasks[-1], asyncio.ensure_future(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), tasks[-1]
        return functools.partial(_end, tasks[-1])

    yield begin
    for task in tasks:
        await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
