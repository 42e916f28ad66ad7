"""Calls to addresses that somebody else chose (push receivers, AI endpoints): resolved once, checked, then called.

Hazard: this process may reach what the one who chose may not. So the check is on what the name resolved to, by the
same resolver whose answer is connected to; redirects are not followed by anybody who uses this.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from lambdaagent.trust import SYSTEM, Trust

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ForbiddenAddressError(OSError):
    """The address is one that must not be called."""


Check = Callable[[Address], None]


def only_link_local(address: Address) -> None:
    """For what operators configure inside a cluster: clouds keep credentials at link-local addresses."""
    if address.is_link_local:
        raise ForbiddenAddressError(f"{address} is link-local and is not called")


def public(*, allowed: Sequence[Network] = ()) -> Check:
    """For what clients choose: nothing but the internet, and the networks that the installation allows."""

    def check(address: Address) -> None:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        real = mapped or address
        if any(real.version == network.version and real in network for network in allowed):
            return
        if not real.is_global or real.is_multicast:
            raise ForbiddenAddressError(f"{real} is not an address of the internet and is not allowed here")

    return check


class CheckedResolver(AbstractResolver):
    def __init__(self, check: Check) -> None:
        self._check = check
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for entry in found:
            self._check(_address(entry["host"]))
        return found

    async def close(self) -> None:
        await self._inner.close()


def check_literal(url: str, check: Check) -> None:
    """aiohttp resolves no address that is one already. Raises ForbiddenAddressError, ValueError."""
    host = urlsplit(url).hostname or ""
    try:
        address = _address(host)
    except ValueError:
        return
    check(address)


def session(check: Check, *, seconds: float, trust: Trust = SYSTEM) -> aiohttp.ClientSession:
    """No proxy of the environment, no cookies, no connection kept: each call stands for itself."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=seconds),
        connector=aiohttp.TCPConnector(
            resolver=CheckedResolver(check), force_close=True, use_dns_cache=False, ssl=trust.context()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])
