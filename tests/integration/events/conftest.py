import secrets
from collections.abc import Iterator

import pytest
from tests.parts import roles
from tests.parts.agents import Agents, Container
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.system import System, migrated, started


@pytest.fixture(scope="module")
def home(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """Creates the namespace of the processes."""
    with roles.home(kube_apiserver) as name:
        yield name


@pytest.fixture
def container() -> Iterator[Container]:
    found = Container()
    yield found
    found.close()


@pytest.fixture(scope="module")
def system(
    kube_apiserver: KubeApiserver,
    own_rabbitmq: RabbitMQ,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
    home: str,
) -> Iterator[System]:
    """Starts one system for the tests of a module, whose agents have different names."""
    namespace = f"events-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    agents, folder = Agents(kube_apiserver, namespace), tmp_path_factory.mktemp("system")
    database = migrated(postgres)
    with started(kube_apiserver, own_rabbitmq, database, folder, system=home, agents=agents) as found:
        yield found
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{namespace}")
