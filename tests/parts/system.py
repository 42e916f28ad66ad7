"""The processes of an installation on plain RabbitMQ: two gateways, two dispatchers, one RabbitMQ and one PostgreSQL.

Each dispatcher sends to a gateway of its own, unless a test gives the URL of a proxy in front of all gateways, which
stands for the Service in a cluster.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts import roles
from tests.parts.agents import Agents
from tests.parts.kubernetes import KubeApiserver
from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import Running

from lambdaagent.kube import rights

KEYS = "k1:" + "MDEyMzQ1Njc4OWFiY2RlZg=="


@dataclass
class System:
    gateways: list[Running]
    dispatchers: list[Running]
    agents: Agents

    @property
    def processes(self) -> list[Running]:
        return [*self.gateways, *self.dispatchers]

    def metric(self, line: str) -> float:
        """Returns the sum of a metric over the processes that are ready."""
        return sum(each.metric(line) for each in self.processes if each.ready())


@contextmanager
def started(
    server: KubeApiserver,
    rabbitmq: RabbitMQ,
    database: str,
    folder: Path,
    *,
    system: str,
    agents: Agents,
    replicas: int = 2,
    dispatchers: int | None = None,
    service: str = "",
    **settings: str,
) -> Iterator[System]:
    common = {
        "LAMBDAAGENT_AMQP_URL": rabbitmq.url,
        "LAMBDAAGENT_DATABASE": database,
        "LAMBDAAGENT_NAMESPACES": agents.namespace,
        "LAMBDAAGENT_EVENT_KEYS": KEYS,
        "LAMBDAAGENT_EVENTING": "rabbitmq",
        "LAMBDAAGENT_LIFECYCLE_EVENTS": "true",
        "LAMBDAAGENT_REFUSE_UNROUTED": "true",
        "LAMBDAAGENT_DELIVERY_BACKOFF_DELAY": "PT0.1S",
    } | settings
    config = {
        name: {"KUBECONFIG": str(roles.kubeconfig(server, system, name))}
        for name in (rights.GATEWAY, rights.DISPATCHER)
    }
    found = System([], [], agents)
    for number in range(replicas):
        where = folder / f"gateway{number}"
        where.mkdir(parents=True)
        found.gateways.append(Running("gateway", where, common | config[rights.GATEWAY]))
    for number in range(replicas if dispatchers is None else dispatchers):
        where = folder / f"dispatcher{number}"
        where.mkdir(parents=True)
        url = service or found.gateways[number].url
        own = {"LAMBDAAGENT_EVENTS_URL": url, "LAMBDAAGENT_GATEWAY_URL": url}
        found.dispatchers.append(Running("dispatcher", where, common | config[rights.DISPATCHER] | own))
    try:
        for each in found.processes:
            each.launch()
        for each in found.processes:
            each.await_ready()
        yield found
    finally:
        for each in found.processes:
            each.stop()


def migrated(postgres: Postgres) -> str:
    """Creates a database, migrates it as the chart does, and returns its URL."""
    url = postgres.url(postgres.database())
    environment = os.environ | {"LAMBDAAGENT_DATABASE": url}
    subprocess.run([sys.executable, "-m", "lambdaagent", "migrate"], env=environment, check=True, capture_output=True)
    return url
