"""Calls to addresses that others choose (push receivers, AI endpoints): each is resolved once, checked, then called.

Hazard: this process may reach addresses that the one who chose them may not. So the check applies to what the name
resolved to, by the same resolver whose answer is used to connect; no user of this module follows redirects.
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
    """The address must not be called."""


Check = Callable[[Address], None]


def only_link_local(address: Address) -> None:
    """Refuse link-local addresses, where clouds keep credentials. For what operators configure in a cluster."""
    if _real(address).is_link_local:
        raise ForbiddenAddressError(f"{address} is link-local and is not called")


def public(*, allowed: Sequence[Network] = ()) -> Check:
    """Return the check for what clients choose: the internet, and networks that the installation allows."""

    def check(address: Address) -> None:
        real = _real(address)
        if any(real.version == network.version and real in network for network in allowed):
            return
        if not real.is_global or real.is_multicast:
            raise ForbiddenAddressError(f"{real} is not a public address and is not allowed here")

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
    """Check a URL whose host is an address, which aiohttp does not resolve.

    Raises ForbiddenAddressError, ValueError.
    """
    host = urlsplit(url).hostname or ""
    try:
        address = _address(host)
    except ValueError:
        return
    check(address)


def session(check: Check, *, seconds: float, trust: Trust = SYSTEM) -> aiohttp.ClientSession:
    """Return a session without a proxy of the environment, cookies or kept connections: each call is independent."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=seconds),
        connector=aiohttp.TCPConnector(
            resolver=CheckedResolver(check), force_close=True, use_dns_cache=False, ssl=trust.context()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def _real(address: Address) -> Address:
    """Return the IPv4 address that a socket of IPv6 connects to for an address such as `::ffff:192.0.2.1`."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])
