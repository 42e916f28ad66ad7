"""A LambdaAgent of a hub is bound to another cluster, as KubeStellar does it: its object goes there, its status back.

The hub is a second API server without an operator. `Transport` does what KubeStellar's transport does with an object:
it takes what one cluster alone knows from it, applies the rest with server-side apply, and writes the one status that
comes back (a singleton) into the hub's object. The manifests are those of `docs/guides/multicluster.md`.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative_controllers import KnativeControllers
from tests.parts.kubernetes import KubeApiserver

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "multicluster.md"
LOCAL = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "ownerReferences")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[KubeApiserver]:
    server = KubeApiserver(tmp_path / "hub")
    server.folder.mkdir()
    server.start()
    yield server
    server.stop()


@dataclass
class Transport:
    hub: Cluster
    there: Cluster

    def bind(self, name: str) -> None:
        found = self.hub.agent(name)
        if found is None:
            self.there.rest.delete(f"{self.there.agents}/{name}")
            return
        metadata = {key: value for key, value in found["metadata"].items() if key not in LOCAL}
        bound = {**found, "metadata": metadata}
        bound.pop("status", None)
        self.there.rest.apply(f"{self.there.agents}/{name}", bound, manager="kubestellar")

    def bring_status(self, name: str) -> Any:
        """Returns the hub's object with the status of the other cluster."""
        found, here = self.there.status(name), self.hub.agent(name)
        return self.hub.rest.put(f"{self.hub.agents}/{name}/status", {**here, "status": found})


def manifests() -> dict[str, Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    documents = [document for block in blocks for document in yaml.safe_load_all(block)]
    return {document["kind"]: document for document in documents}


async def test_an_agent_of_a_hub_runs_elsewhere_and_its_status_comes_back(
    hub: KubeApiserver, cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    agent = manifests()["LambdaAgent"]
    policy = manifests()["BindingPolicy"]
    [selector] = policy["spec"]["downsync"][0]["objectSelectors"]
    assert selector["matchLabels"].items() <= agent["metadata"]["labels"].items()
    assert policy["spec"]["downsync"][0]["apiGroup"] == "lambda.knative.io"
    assert policy["spec"]["downsync"][0]["wantSingletonReportedState"] is True
    await asyncio.to_thread(hub.rest.post, "/api/v1/namespaces", {"metadata": {"name": cluster.namespace}})
    here = Cluster(hub, cluster.namespace)
    name = agent["metadata"]["name"]
    await asyncio.to_thread(here.apply, name, agent["spec"], labels=agent["metadata"]["labels"])
    transport = Transport(here, cluster)
    await start()

    await asyncio.to_thread(transport.bind, name)
    await until(lambda: cluster.has(name, "Ready", "True"))
    assert here.agent(name)["metadata"].get("finalizers") is None, "nothing of the other cluster is left in the hub"
    shown = await asyncio.to_thread(transport.bring_status, name)
    assert shown["status"]["phase"] == "Ready"
    assert shown["status"]["serviceStatus"]["url"].startswith(f"http://{name}.")

    spec = agent["spec"] | {"env": [{"name": "A", "value": "2"}]}
    await asyncio.to_thread(here.apply, name, spec, labels=agent["metadata"]["labels"])
    before = cluster.status(name)["serviceStatus"]["latestRevision"]
    await asyncio.to_thread(transport.bind, name)
    await until(lambda: cluster.status(name)["serviceStatus"].get("latestRevision") != before)
    await until(lambda: cluster.has(name, "Ready", "True"))
    await asyncio.to_thread(transport.bind, name)  # a repetition changes nothing
    await asyncio.to_thread(transport.bring_status, name)

    await asyncio.to_thread(here.rest.delete, f"{here.agents}/{name}")
    await asyncio.to_thread(transport.bind, name)
    await until(lambda: cluster.agent(name) is None)
    await until(lambda: cluster.names("serving.knative.dev/v1", "services") == [])
