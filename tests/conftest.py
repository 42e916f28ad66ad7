"""Fixtures for all tests: real parts, which start when a test first needs them and stop at the end of the session."""

import asyncio
import gc
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog
from aiohttp import web_app
from hypothesis import settings
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import ForeignRabbitMQ, RabbitMQ

from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.urls import DatabaseUrl

# As in the processes: the default traceback, rich's, takes seconds to format local variables.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ],
)

# A test that waits for its turn on a busy machine is not slow.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")

_LONGEST_FIRST = (
    "integration/durability",
    "integration/frameworks",
    "integration/events",
    "integration/clients",
    "integration/dispatcher",
    "integration/controller",
    "integration",
)


# The tests whose child processes are measured for coverage. It slows the start and the end of a process, which other
# tests time, and doubles the processor time of a run.
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


def pytest_runtest_logfinish() -> None:
    """Lets go of the gateways that ended, which aiohttp's cache of middlewares keeps with their databases."""
    web_app._cached_build_middleware.cache_clear()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts long files first: workers take files in order, and a long one at the end would leave the others idle."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        place = item.path.relative_to(here).as_posix()
        return next((n for n, start in enumerate(_LONGEST_FIRST) if place.startswith(f"{start}/")), len(_LONGEST_FIRST))

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the figures that files print when their last test ends, one line for each worker that ran the file."""
    ended = terminalreporter.stats.get("", [])
    texts = [text for report in ended if report.when == "teardown" for _, text in report.sections]
    figures = sorted({line for text in texts for line in text.splitlines() if "requests tried" in line})
    if figures:
        terminalreporter.section("access")
        for line in figures:
            terminalreporter.write_line(line)


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
    """Starts a real API server with etcd, garbage collection, and the CRDs of Knative, RabbitMQ and `crds/`."""
    server = KubeApiserver(tmp_path_factory.mktemp("kubernetes"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kubeconfig(kube_apiserver: KubeApiserver) -> Path:
    """Returns the administrator's kubeconfig."""
    return kube_apiserver.kubeconfig


@pytest.fixture
def namespace(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """Creates a namespace for one test, and deletes it with its objects."""
    name = f"test-{secrets.token_hex(4)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """Starts a node that a test may kill and restart, even if AMQP_URL is set; a test leaves it running."""
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest) -> RabbitMQ | ForeignRabbitMQ:
    """Returns the RabbitMQ that AMQP_URL names, else `own_rabbitmq`. Tests share it, each with an `amqp_prefix`."""
    url = os.environ.get("AMQP_URL")
    if url:
        return ForeignRabbitMQ(url)
    node: RabbitMQ = request.getfixturevalue("own_rabbitmq")
    return node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Starts a server without fsync, for tests that do not stop it."""
    with Postgres().serving() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> str:
    """Migrates a database that tests copy, because a migration takes longer than most tests."""
    name = postgres.database()
    # In a thread, because the first test that needs it may run in an event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrating.migrate(DatabaseUrl(postgres.url(name)))).result()
    return name


@pytest.fixture
def database_url(postgres: Postgres, migrated_database: str) -> str:
    """Creates a migrated database for one test and returns its URL."""
    return postgres.url(postgres.database(template=migrated_database))


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Starts a server with fsync, which a test may kill."""
    with Postgres(durable=True).serving() as server:
        yield server


@pytest.fixture
def amqp_prefix() -> str:
    """Returns a prefix for the exchanges and queues of one test."""
    return f"test-{secrets.token_hex(4)}"
