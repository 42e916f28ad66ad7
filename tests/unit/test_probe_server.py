"""The default address of a process's probe server."""

import asyncio
import socket

import pytest
from tests.parts.process import free_port

from lambdaagent.probe_server import listen
from lambdaagent.settings import DispatcherSettings, GatewaySettings, OperatorSettings, SidecarSettings


@pytest.mark.parametrize("settings", [OperatorSettings, GatewaySettings, DispatcherSettings, SidecarSettings])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_it_listens_on_both_families(settings: type[OperatorSettings], address: str) -> None:
    """A cluster may have only one of them, and a pod in it only addresses of that one."""
    if address == "::1":
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind((address, 0))
            except OSError as problem:
                pytest.skip(f"this machine has no IPv6: {problem}")
    host, port = settings.model_fields["host"].default, free_port()
    async with listen([], host=host, port=port):
        _, writer = await asyncio.open_connection(address, port)
        writer.close()
        await writer.wait_closed()
