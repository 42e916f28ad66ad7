"""Which addresses are called for a client: the internet, and what the installation allows."""

from ipaddress import ip_address, ip_network

import pytest

from lambdaagent.webhooks.address_check import ForbiddenAddressError, only_link_local, public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.0.8", "168.63.129.16", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "::7f00:1", "2002:7f00:1::",
        "2002:a00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_what_is_not_the_internet_is_not_called(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        public()(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_the_internet_is_called(address: str) -> None:
    public()(ip_address(address))


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_what_the_installation_allows_is_called_in_every_form(address: str) -> None:
    public(allowed=[ip_network("10.0.0.0/8")])(ip_address(address))


def test_where_clouds_keep_credentials_is_never_called() -> None:
    only_link_local(ip_address("10.1.2.3"))
    for address in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254"):
        with pytest.raises(ForbiddenAddressError):
            only_link_local(ip_address(address))
