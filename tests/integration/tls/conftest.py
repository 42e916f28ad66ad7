"""The gateway runs on uvloop, whose TLS is its own, and `dev` too: tests of its certificate run on both event loops."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]
_OF_ASYNCIO: Loops = {"asyncio": asyncio.new_event_loop}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Loops:
    both = item.path.name == "test_gateway_certificate.py"
    return {**_OF_ASYNCIO, "uvloop": uvloop.new_event_loop} if both else _OF_ASYNCIO
