"""Which addresses are called for a client: the internet, and what the installation allows."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.webhooks.address_check import ForbiddenAddressError, check_literal, is_trusted, not_metadata, public

# What is_global of the ipaddress module says of an address that leads inside counts for nothing.
INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "192.0.0.8", "::1", "::", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1",
]  # fmt: skip
METADATA = [
    "169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fe80::1", "fd00:ec2::254",
    "fd20:ce::254", "64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254", "::a9fe:a9fe", "2002:a9fe:a9fe::",
]  # fmt: skip
EVERYTHING = [ip_network("0.0.0.0/0"), ip_network("::/0")]


@pytest.mark.parametrize("address", INSIDE + METADATA)
def test_what_is_not_the_internet_is_not_called(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        public()("hook.example")(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_the_internet_is_called(address: str) -> None:
    public()("hook.example")(ip_address(address))


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_what_the_installation_allows_is_called_in_every_form(address: str) -> None:
    public(allowed=[ip_network("10.0.0.0/8")])("hook.example")(ip_address(address))


@pytest.mark.parametrize("address", ["10.1.2.3", "100.64.0.1", "fd12::1", "1.1.1.1", "64:ff9b::a01:203"])
def test_a_trusted_name_may_have_a_private_address(address: str) -> None:
    check = public(trusted=lambda: ["*.corp.example"])
    check("hook.corp.example")(ip_address(address))
    if address != "1.1.1.1":
        with pytest.raises(ForbiddenAddressError):
            check("corp.example")(ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1"])
def test_a_trusted_name_does_not_lead_to_this_machine(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        public(trusted=lambda: ["hook.example"])("hook.example")(ip_address(address))


@pytest.mark.parametrize("address", METADATA)
def test_where_clouds_keep_credentials_is_never_called(address: str) -> None:
    everywhere = public(allowed=EVERYTHING, trusted=lambda: ["hook.example"])("hook.example")
    for check in (not_metadata, everywhere):
        with pytest.raises(ForbiddenAddressError):
            check(ip_address(address))


def test_what_an_operator_configures_may_be_in_the_cluster() -> None:
    not_metadata(ip_address("10.1.2.3"))


def test_trust_that_is_taken_away_counts_at_once() -> None:
    names = ["hook.example"]
    check = public(trusted=lambda: names)("hook.example")
    check(ip_address("10.0.0.1"))
    names.clear()
    with pytest.raises(ForbiddenAddressError):
        check(ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    ("host", "name", "trusted"),
    [
        ("a.example", "a.example", True),
        ("A.Example.", "a.example", True),
        ("b.a.example", "a.example", False),
        ("b.a.example", "*.a.example", True),
        ("c.b.a.example", "*.a.example", True),
        ("a.example", "*.a.example", False),
        ("xa.example", "*.a.example", False),
        ("a.example.evil", "a.example", False),
        ("a.example.evil", "*.a.example", False),
        ("", "a.example", False),
    ],
)
def test_names_are_matched_as_a_whole(host: str, name: str, trusted: bool) -> None:
    assert is_trusted(host, [name]) is trusted


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_every_form_of_an_address_is_judged_alike(address: IPv4Address) -> None:
    number = int(address)
    forms = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address(0x2002 << 112 | number << 80),
    ]

    def refused(given: IPv4Address | IPv6Address) -> bool:
        try:
            public()("hook.example")(given)
        except ForbiddenAddressError:
            return True
        return False

    assert {refused(form) for form in forms} == {refused(address)}


@pytest.mark.parametrize("literal", ["fd00::1%25.corp.example", "::ffff:10.0.0.5%25x.corp.example"])
def test_the_zone_of_an_address_is_no_name(literal: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        check_literal(f"http://[{literal}]/", public(trusted=lambda: ["*.corp.example"]))
