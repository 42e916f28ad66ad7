"""https by a private authority: clients of the operator and the gateway accept it with the file, and not without."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from tests.parts import roles
from tests.parts.authority import Authority, authority
from tests.parts.cluster import Cluster, until
from tests.parts.commands import dlq
from tests.parts.commands import run as run_command
from tests.parts.http_servers import serving
from tests.parts.knative import mark_ready
from tests.parts.kubernetes import KubeApiserver

from lambdaagent.a2a.push import PushConfig
from lambdaagent.controller.operator import run
from lambdaagent.kube import rights
from lambdaagent.settings import OperatorSettings
from lambdaagent.store.factory import open_store
from lambdaagent.store.records import DeadLetter
from lambdaagent.trust import SYSTEM, read
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.push_request import HttpPushNotifier, PushRefusedError


@dataclass
class Server:
    """A server that lists a model, serves a card and accepts every POST."""

    url: str = ""
    posted: list[str] = field(default_factory=list)


@pytest.fixture
def private(tmp_path: Path) -> Authority:
    return authority(tmp_path / "private")


@asynccontextmanager
async def private_server(by: Authority) -> AsyncIterator[Server]:
    found = Server()

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"models": [{"name": "llama3.2:3b"}]})

    async def post(request: web.Request) -> web.Response:
        found.posted.append(request.headers.get("ce-type", request.path))
        return web.Response(status=202)

    app = web.Application()
    app.add_routes([web.get("/api/tags", models), web.post("/{path:.*}", post)])
    async with serving(app, tls=by.server()) as found.url:
        yield found


@pytest.mark.parametrize("known", [True, False], ids=["with the file", "without"])
async def test_the_operator_asks_and_tells(
    known: bool, private: Authority, kube_apiserver: KubeApiserver, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(kube_apiserver, namespace)
    with roles.applied(kube_apiserver, namespace):
        account = await asyncio.to_thread(roles.kubeconfig, kube_apiserver, namespace, rights.OPERATOR)
        monkeypatch.setenv("KUBECONFIG", str(account))
        async with private_server(private) as server:
            settings = OperatorSettings(
                POD_NAMESPACE=namespace,
                namespaces=(namespace,),
                host="127.0.0.1",
                port=0,
                eventing="none",
                events_url=server.url,
                lifecycle_events=True,
                ca_file=str(private.ca) if known else "",
            )
            working = asyncio.create_task(run(settings))
            try:
                spec = {"ai": {"endpoint": server.url, "model": "llama3.2:3b"}}
                await asyncio.to_thread(cluster.apply, "asks", spec)
                await until(lambda: cluster.find("serving.knative.dev/v1", "services", "asks"))
                mark_ready(cluster.rest, "Service", namespace=namespace, name="asks")
                status = "True" if known else "False"
                said = await until(lambda: cluster.has("asks", "AIReady", status))
                if known:
                    await until(lambda: any("created" in each for each in server.posted))
                else:
                    assert "LAMBDAAGENT_CA_FILE" in said["message"]
                    assert server.posted == []
            finally:
                working.cancel()
                await asyncio.wait([working])


async def test_push_receivers_are_notified(private: Authority) -> None:
    async with private_server(private) as server:
        config = PushConfig(url=f"{server.url}/push")
        for trust in (SYSTEM, read(str(private.ca))):
            notifier = HttpPushNotifier(lambda _: address_check.not_metadata, trust=trust)
            if trust is SYSTEM:
                with pytest.raises(PushRefusedError):
                    await notifier.post(config, content_type="application/json", body=b"{}")
                assert server.posted == []
            else:
                await notifier.post(config, content_type="application/json", body=b"{}")
        assert server.posted == ["/push"]


async def test_commands_send_events_and_dead_letters_again(private: Authority, tmp_path: Path) -> None:
    database = str(tmp_path / "tasks.db")
    store = (await open_store(database)).store
    attributes = {"specversion": "1.0", "id": "1", "source": "/s", "type": "lost"}
    await store.add_dead_letter(
        DeadLetter(namespace="n", agent="a", reason="refused", received=1.0, attributes=attributes, data=b"")
    )
    await store.close()
    async with private_server(private) as server:
        send = ("events", "send", "--type", "sent", "--url", server.url)
        again = {"database": database, "events_url": server.url}
        for done in (await run_command(*send), await dlq("redrive", "--all", "-n", "n", **again)):
            assert done.code == 1
            assert "LAMBDAAGENT_CA_FILE" in done.err
        assert server.posted == []
        trusted = str(private.ca)
        assert (await run_command(*send, ca_file=trusted)).code == 0
        assert (await dlq("redrive", "--all", "-n", "n", ca_file=trusted, **again)).code == 0
    assert server.posted == ["sent", "lost"]
