"""Which addresses are link-local, in both forms that a socket connects to."""

from ipaddress import ip_address

import pytest

from lambdaagent.webhooks.address_check import ForbiddenAddressError, only_link_local


@pytest.mark.parametrize("text", ["169.254.169.254", "169.254.0.0", "::ffff:169.254.169.254", "fe80::1", "febf::1"])
def test_a_link_local_address_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        only_link_local(ip_address(text))


@pytest.mark.parametrize("text", ["10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "8.8.8.8", "fd00::1"])
def test_another_address_is_not(text: str) -> None:
    only_link_local(ip_address(text))
