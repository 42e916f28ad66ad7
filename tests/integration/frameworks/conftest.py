"""The servers of the frameworks, one at a time, and the table at the end of the run."""

from collections.abc import Iterator

import pytest
from tests.integration.frameworks import servers
from tests.integration.frameworks.servers import Server
from tests.integration.frameworks.table import Table

_TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = Table()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    return pytestconfig.stash[_TABLE]


@pytest.fixture(scope="session", params=servers.NAMES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, table: Table) -> Iterator[Server]:
    """Starts the server of one framework after another; pytest groups the tests by this parameter."""
    found = servers.start(request.param, tmp_path_factory.mktemp("framework"))
    table.made[found.name] = (found.environment.seconds, found.environment.megabytes)
    yield found
    found.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash[_TABLE]
    if table.rows:
        terminalreporter.section("frameworks through the gateway")
        for line in table.lines():
            terminalreporter.write_line(line)
