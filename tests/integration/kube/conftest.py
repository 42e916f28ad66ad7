from collections.abc import AsyncIterator

import pytest
from tests.parts.kubernetes import KubeApiserver

from lambdaagent.kube.client import KubeClient, connect


@pytest.fixture
async def client(kube_apiserver: KubeApiserver) -> AsyncIterator[KubeClient]:
    async with connect(kubeconfig=kube_apiserver.kubeconfig) as found:
        yield found
