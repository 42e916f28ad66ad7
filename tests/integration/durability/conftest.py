from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.integration.durability.pair import Gateways, Pair, pair_of, started
from tests.parts import roles
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres


@pytest.fixture(scope="module")
def home(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """Creates the namespace of the processes."""
    with roles.home(kube_apiserver) as name:
        yield name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(
    kube_apiserver: KubeApiserver, postgres: Postgres, migrated_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateways]:
    url = postgres.url(postgres.database(template=migrated_database))
    async with started(kube_apiserver, url, tmp_path_factory.mktemp("gateways")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def pair(gateways: Gateways, namespace: str) -> AsyncIterator[Pair]:
    async with pair_of(gateways, namespace) as found:
        yield found
