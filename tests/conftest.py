"""Fixtures of every test: the real parts, started when a test first asks and stopped by process id at the end."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import ForeignRabbitMQ, RabbitMQ

from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.urls import DatabaseUrl

# As the processes do: rich's traceback, which is the default, takes seconds to draw all local variables.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ],
)

_LONGEST_FIRST = (
    "integration/durability",
    "integration/frameworks",
    "integration/events",
    "integration/clients",
    "integration/dispatcher",
    "integration/controller",
    "integration",
)


# Whose child processes are measured for coverage: it slows their start and their end, which the tests elsewhere time,
# and doubles what a run takes of the processor.
_MEASURED = tuple(f"integration/{name}/" for name in ("cli", "controller", "dispatcher", "gateway", "store"))
_CONFIG = "COVERAGE_PROCESS_CONFIG"
_config = os.environ.get(_CONFIG)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    global _config
    _config = os.environ.get(_CONFIG, _config)
    if _config is not None and item.path.relative_to(Path(__file__).parent).as_posix().startswith(_MEASURED):
        os.environ[_CONFIG] = _config
    else:
        os.environ.pop(_CONFIG, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take files in this order: a long one at the end would leave the others with nothing to do."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        place = item.path.relative_to(here).as_posix()
        return next((n for n, start in enumerate(_LONGEST_FIRST) if place.startswith(f"{start}/")), len(_LONGEST_FIRST))

    items.sort(key=rank)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    unit = Path(__file__).parent / "unit" in item.path.parents
    return {"loop": _debug_loop if unit else asyncio.new_event_loop}


def _debug_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = float("inf")  # tests/unit/conftest.py measures processor time instead
    return loop


@pytest.fixture(scope="session")
def kube_apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiserver]:
    """A real API server with etcd, garbage collection, and the kinds of Knative, RabbitMQ and our own `crds/`."""
    server = KubeApiserver(tmp_path_factory.mktemp("kubernetes"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kubeconfig(kube_apiserver: KubeApiserver) -> Path:
    """The administrator's."""
    return kube_apiserver.kubeconfig


@pytest.fixture
def namespace(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """A Kubernetes namespace of the test's own; what is in it goes with it."""
    name = f"test-{secrets.token_hex(4)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A node that a test may kill and restart, whatever AMQP_URL says; tests leave it running."""
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest) -> RabbitMQ | ForeignRabbitMQ:
    """The one that AMQP_URL names, else the node of the tests' own. Isolation is by names: see amqp_prefix."""
    url = os.environ.get("AMQP_URL")
    if url:
        return ForeignRabbitMQ(url)
    node: RabbitMQ = request.getfixturevalue("own_rabbitmq")
    return node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Fast and forgetful: for what does not end it."""
    with Postgres().serving() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> str:
    """A database to copy: migrating one for each test would take most of its time."""
    name = postgres.database()
    # In a thread, because the test that asks for it first may be in a loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrating.migrate(DatabaseUrl(postgres.url(name)))).result()
    return name


@pytest.fixture
def database_url(postgres: Postgres, migrated_database: str) -> str:
    """A migrated database of the test's own."""
    return postgres.url(postgres.database(template=migrated_database))


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """One that keeps what it confirmed, and that a test may kill."""
    with Postgres(durable=True).serving() as server:
        yield server


@pytest.fixture
def amqp_prefix() -> str:
    """Starts the names of a test's exchanges and queues, so that tests on one broker do not meet."""
    return f"test-{secrets.token_hex(4)}"
