"""Which addresses are the public internet, in every dress an address can wear."""

import ipaddress

import pytest

from plugins._parts.addresses import AddressDeniedError, is_public, judged

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 -- judged, not bound
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.170",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2002:7f00:1::",
    "2002:808:808::",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_these_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_these_are_not(address):
    assert not is_public(ipaddress.ip_address(address))


def test_the_addresses_that_were_judged_are_the_ones_handed_out():
    assert judged("8.8.8.8", 80, frozenset()) == ["8.8.8.8"]
    assert "127.0.0.1" in judged("localhost", 80, frozenset({"localhost"}))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "fe80::1%lo"])
def test_a_host_with_an_address_that_is_not_public_is_denied_with_both(host):
    with pytest.raises(AddressDeniedError, match="`allowed_hosts`") as caught:
        judged(host, 80, frozenset({"other"}))
    assert host.partition("%")[0] in str(caught.value)
