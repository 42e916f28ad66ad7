"""RabbitMQ and PostgreSQL by certificates of private authorities, and every process that talks to them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts import roles
from tests.parts.commands import dlq, run
from tests.parts.dev import dev
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.postgres import Postgres
from tests.parts.process import free_port
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import running

from lambdaagent import trust
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.errors import UsageError
from lambdaagent.kube import rights
from lambdaagent.store.errors import StoreError
from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.postgres.urls import DatabaseUrl

REMEDY = "name a file with its authority's certificate in LAMBDAAGENT_CA_FILE"
AGENT = """\
apiVersion: lambda.knative.io/v1alpha1
kind: LambdaAgent
metadata: {name: one, namespace: private, annotations: {dev.lambda.knative.io/command: "%s -m http.server $PORT"}}
spec: {image: {repository: r}}
"""


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(tls=True).serving() as server:
        yield server


@pytest.fixture(scope="module")
def bundle(database: Postgres, own_rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Writes both authorities into one file."""
    path = tmp_path_factory.mktemp("bundle") / "ca.crt"
    path.write_text(database.authority.ca.read_text() + own_rabbitmq.authority.ca.read_text())
    return str(path)


def at(database: Postgres, mode: str, host: str = "localhost", name: str = "postgres") -> str:
    return database.url(name).replace("127.0.0.1", host) + f"?sslmode={mode}"


@pytest.mark.parametrize(
    ("mode", "host"),
    [("verify-full", "localhost"), ("verify-ca", "localhost"), ("verify-ca", "127.0.0.1"), ("require", "127.0.0.1")],
)
async def test_a_database_is_reached_with_the_file(mode: str, host: str, database: Postgres, bundle: str) -> None:
    assert await migrating.current(DatabaseUrl(at(database, mode, host), trust.read(bundle))) is None


@pytest.mark.parametrize(
    ("mode", "host", "known", "said"),
    [
        ("verify-full", "localhost", False, REMEDY),
        ("verify-ca", "localhost", False, REMEDY),
        ("verify-full", "127.0.0.1", True, "use a name that the certificate is for"),
    ],
)
async def test_a_database_that_cannot_be_verified_is_not_used(
    mode: str, host: str, known: bool, said: str, database: Postgres, bundle: str
) -> None:
    trusted = trust.read(bundle) if known else trust.SYSTEM
    with pytest.raises(StoreError, match="certificate verification failed") as refused:
        await migrating.current(DatabaseUrl(at(database, mode, host), trusted))
    assert said in str(refused.value)
    store = await PostgresStore.open(at(database, mode, host), trusted)
    try:
        assert said in str(store.problem)
        assert "a-secret" not in str(store.problem)
    finally:
        await store.close()


async def test_what_the_url_says_of_certificates_counts(database: Postgres) -> None:
    url = f"{at(database, 'verify-full')}&sslrootcert={database.authority.ca}"
    assert await migrating.current(DatabaseUrl(url)) is None
    with pytest.raises(UsageError, match="sslcert cannot be used: No such file"):
        DatabaseUrl(f"{at(database, 'verify-full')}&sslcert=/nowhere.crt&sslkey=/nowhere.key")


async def test_a_rabbitmq_is_reached_with_the_file_alone(own_rabbitmq: RabbitMQ, bundle: str) -> None:
    known = RabbitMQConnection(url=own_rabbitmq.tls_url, name="known", trust=trust.read(bundle))
    unknown = RabbitMQConnection(url=own_rabbitmq.tls_url, name="unknown")
    for link in (known, unknown):
        link.start()
    try:
        await eventually(lambda: known.connected)
        await eventually(lambda: bool(unknown.problem))
        assert "certificate verification failed" in unknown.problem
        assert REMEDY in unknown.problem
    finally:
        for link in (known, unknown):
            await link.stop()


async def test_commands_take_the_file(database: Postgres, own_rabbitmq: RabbitMQ, bundle: str) -> None:
    url = at(database, "verify-full", name=database.database())
    without = await run("migrate", database=url, secrets=("a-secret",))
    assert (without.code, REMEDY in without.err) == (1, True)
    done = await run("migrate", database=url, ca_file=bundle, secrets=("a-secret",))
    assert (done.code, "applied v1_0" in done.out) == (0, True), done.err
    both = {"database": url, "amqp_url": own_rabbitmq.tls_url}
    listed = await dlq("list", "-n", "private", ca_file=bundle, **both)
    assert listed.code == 0, listed.err
    wrong = await dlq("list", "-n", "private", ca_file="/nowhere.crt", **both)
    assert wrong.code == 2
    assert "LAMBDAAGENT_CA_FILE" in wrong.err
    assert "/nowhere.crt cannot be read" in wrong.err


@pytest.mark.parametrize(("process", "account"), [("gateway", rights.GATEWAY), ("dispatcher", rights.DISPATCHER)])
async def test_processes_are_ready_with_the_file(
    process: str,
    account: str,
    kube_apiserver: KubeApiserver,
    database: Postgres,
    own_rabbitmq: RabbitMQ,
    bundle: str,
    namespace: str,
    tmp_path: Path,
) -> None:
    url = at(database, "verify-full", name=database.database())
    await migrating.migrate(DatabaseUrl(url, trust.read(bundle)))
    with roles.home(kube_apiserver) as home:
        settings = {
            "KUBECONFIG": str(roles.kubeconfig(kube_apiserver, home, account)),
            "LAMBDAAGENT_NAMESPACES": namespace,
            "LAMBDAAGENT_AMQP_URL": own_rabbitmq.tls_url,
            "LAMBDAAGENT_DATABASE": url,
            "LAMBDAAGENT_CA_FILE": bundle,
        }
        with running(process, tmp_path / process, **settings) as found:
            assert found.get("/readyz")


def test_dev_takes_the_file(own_rabbitmq: RabbitMQ, bundle: str, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(AGENT % sys.executable)
    arguments = (tmp_path, "--amqp", own_rabbitmq.tls_url)
    with dev(*arguments, data=tmp_path / "data", environment={"LAMBDAAGENT_CA_FILE": bundle}, ready=False) as found:
        found.wait_for("server.started")
    with dev(*arguments, data=tmp_path / "data", ready=False) as found:
        found.wait_for("LAMBDAAGENT_CA_FILE")


@pytest.mark.parametrize("command", ["operator", "gateway", "dispatcher", "dev"])
def test_a_file_that_will_not_do_ends_the_process(command: str, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    env = os.environ | {"LAMBDAAGENT_CA_FILE": str(tmp_path / "ca.crt"), "LAMBDAAGENT_PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "lambdaagent", command], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "LAMBDAAGENT_CA_FILE" in done.stderr
    assert "cut off or not base64" in done.stderr
