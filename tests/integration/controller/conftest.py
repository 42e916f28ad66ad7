"""The operator running against a real API server, as its own process would, in the test's loop.

It is the account that `lambdaagent rbac` makes, with exactly those rights, in every test here. `Cluster`, with which a
test says and looks, is the administrator.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import roles
from tests.parts.knative_controllers import KnativeControllers
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import holds

from lambdaagent.controller.operator import run
from lambdaagent.kube import rights
from lambdaagent.settings import OperatorSettings

AGENTS = "/apis/lambda.knative.io/v1alpha1/namespaces/{}/lambdaagents"


async def eventually(check: Callable[[], Any], *, within: float = 20) -> Any:
    """The first true answer of `check`, asked again until the deadline; its last answer is the failure's message."""
    deadline = time.monotonic() + within
    while True:
        answer = await asyncio.to_thread(holds, check)
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within} s: {check} answered {answer!r}"
        await asyncio.sleep(0.05)


class Cluster:
    """What a test says and asks of the API server, in one namespace."""

    def __init__(self, server: KubeApiserver, namespace: str) -> None:
        self.server, self.rest, self.namespace = server, server.rest, namespace
        self.agents = AGENTS.format(namespace)

    def apply(self, name: str, spec: dict[str, Any], **metadata: Any) -> Any:
        document = {
            "apiVersion": "lambda.knative.io/v1alpha1",
            "kind": "LambdaAgent",
            "metadata": {"name": name, **metadata},
            "spec": {"image": {"repository": "example.com/agent"}} | spec,
        }
        return self.rest.apply(f"{self.agents}/{name}", document, manager="user")

    def agent(self, name: str) -> Any:
        return self.rest.find(f"{self.agents}/{name}")

    def status(self, name: str) -> dict[str, Any]:
        """Empty before anything was reported."""
        return (self.agent(name) or {}).get("status") or {}

    def path(self, group: str, plural: str, name: str = "") -> str:
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def find(self, group: str, plural: str, name: str) -> Any:
        return self.rest.find(self.path(group, plural, name))

    def names(self, group: str, plural: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.rest.get(self.path(group, plural))["items"])

    def condition(self, name: str, kind: str) -> Any:
        status = self.status(name)
        return next((entry for entry in status.get("conditions", []) if entry["type"] == kind), None)

    def has(self, name: str, kind: str, status: str) -> Any:
        """The condition, if it has this status for the present generation."""
        condition, agent = self.condition(name, kind), self.agent(name)
        # A condition that another wrote may say no generation: nothing is known of the present one then.
        current = condition and condition.get("observedGeneration") == agent["metadata"]["generation"]
        return condition if current and condition["status"] == status else None


@pytest.fixture
def cluster(kube_apiserver: KubeApiserver, namespace: str) -> Cluster:
    return Cluster(kube_apiserver, namespace)


@pytest.fixture(scope="session")
def knative_controllers(kube_apiserver: KubeApiserver) -> Iterator[KnativeControllers]:
    """In no namespace until a test names one."""
    controllers = KnativeControllers(kube_apiserver.rest)
    controllers.start()
    yield controllers
    controllers.stop()


@pytest.fixture
def knative(knative_controllers: KnativeControllers, namespace: str) -> Iterator[KnativeControllers]:
    """Knative's controllers look after the namespace of the test."""
    with knative_controllers.running(namespace) as running:
        yield running


@pytest.fixture
def applied(kube_apiserver: KubeApiserver, namespace: str) -> Iterator[str]:
    """The namespace of the test's own, in which the processes of an installation have their accounts and rights."""
    with roles.applied(kube_apiserver, namespace):
        yield namespace


@pytest.fixture
def kubeconfig(kube_apiserver: KubeApiserver, applied: str) -> Path:
    """The operator's, where other tests have the administrator's."""
    return roles.kubeconfig(kube_apiserver, applied, rights.OPERATOR)


@pytest.fixture
def witness(kube_apiserver: KubeApiserver, kubeconfig: Path) -> Iterator[None]:
    """Not one request was refused from here to the end of the test."""
    before = roles.refusals(kube_apiserver.rest)
    yield
    assert roles.refusals(kube_apiserver.rest) == before, "a right is missing in lambdaagent.kube.rights"


Start = Callable[..., Awaitable[Callable[[], Awaitable[None]]]]


@pytest.fixture
async def start(
    kubeconfig: Path, witness: None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Start]:
    """Starts the operator with these settings; what it returns stops it, and so does the end of the test."""
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
