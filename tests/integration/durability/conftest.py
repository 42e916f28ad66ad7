from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.durability.pair import Pair, started
from tests.parts import roles
from tests.parts.kubernetes import KubeApiserver


@pytest.fixture(scope="module")
def home(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """The namespace of the processes."""
    with roles.home(kube_apiserver) as name:
        yield name


@pytest.fixture
async def pair(kube_apiserver: KubeApiserver, namespace: str, database_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with started(kube_apiserver, namespace, database_url, tmp_path) as found:
        yield found
