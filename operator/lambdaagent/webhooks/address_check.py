"""Calls to addresses that others choose (push receivers, AI endpoints, keys of issuers), checked at the socket.

Hazard: this process may reach addresses that the one who chose them may not. So the socket of a call is made only for
an address that passed the check: whatever the URL says (a name, a literal in any notation), however often a name
resolves to something else, and with each of several addresses. The resolver checks too, so that a name with one
forbidden address is refused as a whole before anything is dialled. No user of this module follows redirects, and no
session uses a proxy of the environment.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from lambdaagent.httpclient.errors import ConnectError
from lambdaagent.trust import SYSTEM, Trust

_ADDRESSES, _DIAL_SECONDS = 8, 2.0  # of one host that are tried, and the time for each
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ForbiddenAddressError(OSError):
    """The address must not be called."""


Check = Callable[[Address], None]
# The check for a host name of a URL.
CheckOf = Callable[[str], Check]


def not_metadata(address: Address) -> None:
    """Refuse the addresses where clouds keep credentials. For what operators configure in a cluster."""
    real = _embedded(address)
    if any(real in network for network in _METADATA if network.version == real.version):
        raise ForbiddenAddressError(f"{real} is link-local or a cloud's metadata service and is not called")


def public(*, allowed: Sequence[Network] = (), trusted: Callable[[], Sequence[str]] = tuple) -> CheckOf:
    """Return the check for what clients choose: the internet, and what the installation allows besides.

    `allowed` are networks. `trusted` returns host names, exact or as `*.suffix`, whose addresses may be private.
    Neither allows what `not_metadata` refuses, and a trusted name does not lead to this machine.
    """

    def check(address: Address, *, host: str) -> None:
        not_metadata(address)
        real = _embedded(address)
        if any(real.version == network.version and real in network for network in allowed):
            return
        if is_trusted(host, trusted()) and not (real.is_loopback or real.is_unspecified or _is_no_host(real)):
            return
        if not real.is_global or _is_no_host(real) or any(real in network for network in _INTERNAL):
            raise ForbiddenAddressError(f"{real} is not a public address and is not allowed here")

    return lambda host: partial(check, host=host)


def is_trusted(host: str, names: Sequence[str]) -> bool:
    """Return whether a host name is among `names`. `*.example.com` means every name below example.com, and not it."""
    host = host.lower().rstrip(".")
    if ":" in host:  # an IPv6 address, whose zone may look like the end of a name
        return False
    return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in names)


def _is_no_host(address: Address) -> bool:
    return address.is_multicast or address.is_reserved


# Addresses that Python counts as global and that lead into a network or to a cloud's own services.
_INTERNAL = tuple(map(ipaddress.ip_network, ("fec0::/10", "192.0.0.0/24")))
# Link-local addresses, and those of metadata services that are not: of Azure, Alibaba, Oracle, AWS and Google.
_METADATA = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16",
            "168.63.129.16/32",
            "100.100.100.200/32",
            "192.0.0.192/32",
            "fe80::/10",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
        ),
    )
)
_NAT64, _COMPATIBLE = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96")


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for: mapped, NAT64, 6to4 or IPv4-compatible."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if found := address.ipv4_mapped or address.sixtofour:
        return found
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


class CheckedResolver(AbstractResolver):
    def __init__(self, check: Check, inner: AbstractResolver) -> None:
        self._check = check
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for entry in found:
            self._check(ipaddress.ip_address(entry["host"]))
        return found

    async def close(self) -> None:
        await self._inner.close()


def check_literal(url: str, check: CheckOf) -> None:
    """Check a URL whose host is an address, before anything is stored or sent; a name is checked when it is dialled.

    Raises ForbiddenAddressError, ValueError.
    """
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    check(host)(address)


def session(
    check: Check,
    *,
    seconds: float,
    trust: Trust = SYSTEM,
    resolver: AbstractResolver | None = None,
    decompress: bool = True,
) -> aiohttp.ClientSession:
    """Return a session without a proxy of the environment, cookies or kept connections: each call is independent.

    `decompress`: whether a body's content coding is undone, by which a small body can become a large one.

    A call to a forbidden address raises an error of which `refusal` returns the cause.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=seconds),
        connector=aiohttp.TCPConnector(
            resolver=CheckedResolver(check, resolver or aiohttp.ThreadedResolver()),
            socket_factory=partial(_socket, check),
            force_close=True,
            use_dns_cache=False,
            ssl=trust.context(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=decompress,
        trust_env=False,
    )


async def dial(host: str, port: int, *, check: CheckOf) -> socket.socket:
    """Return a socket that is connected to an address of the host that passed the check.

    Raises ConnectError for a forbidden address, OSError.
    """
    allowed, loop = check(host), asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        for *_, place in found:
            allowed(ipaddress.ip_address(str(place[0])))
        return await _first(found, allowed)
    except ForbiddenAddressError as error:
        raise ConnectError(str(error)) from None


async def _first(found: Sequence[aiohttp.AddrInfoType], check: Check) -> socket.socket:
    """Return the first socket that connects. Raises OSError, that of the last address."""
    problem = OSError(errno.EHOSTUNREACH, "no address")
    for each in found[:_ADDRESSES]:
        made = _socket(check, each)
        try:
            made.setblocking(False)
            async with asyncio.timeout(_DIAL_SECONDS):
                await asyncio.get_running_loop().sock_connect(made, each[4])
            return made
        except OSError as error:  # of a timeout too
            made.close()
            problem = error if error.errno else OSError(errno.ETIMEDOUT, "timed out")
        except BaseException:
            made.close()
            raise
    raise problem


def refusal(error: BaseException) -> ForbiddenAddressError | None:
    """Return why the address of a failed call was not dialled; None if it failed otherwise."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return cause if isinstance(cause, ForbiddenAddressError) else None


def _socket(check: Check, target: aiohttp.AddrInfoType) -> socket.socket:
    """Return the socket for a connection to the target. This is the one place through which every call passes."""
    family, kind, protocol, _, place = target
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise ForbiddenAddressError("only addresses of the internet are called")
    check(ipaddress.ip_address(str(place[0])))
    return socket.socket(family, kind, protocol)
