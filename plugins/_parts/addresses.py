"""Which addresses an HTTP task may connect to, where `deny_private` holds.

A name is resolved once, every address it has is judged, and the caller connects to one of those judged: a name that
resolves differently a moment later gains nothing. Called by `exchange`, for every redirect again.
"""

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# NAT64 (RFC 6052): the IPv4 address in the last 32 bits is where a packet ends up.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressDeniedError(Exception):
    """A host that may not be connected to."""


def is_public(address: Address) -> bool:
    """Tell whether an address lies on the public internet, also where it wraps an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        if inner is not None:
            return is_public(inner)
        # 6to4 and Teredo wrap addresses too, and nobody serves the public by them any more.
        if address.sixtofour or address.teredo or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def judged(host: str, port: int, allowed_hosts: frozenset[str]) -> list[str]:
    """Resolve a host and return its addresses, in the order the resolver gives.

    Raises AddressDeniedError where one of them is not public and the operator does not name the host, and
    socket.gaierror where it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    if host.lower() in allowed_hosts:
        return addresses
    for address in addresses:
        if not is_public(ipaddress.ip_address(address.partition("%")[0])):
            which = host if host == address else f"{host} ({address})"
            raise AddressDeniedError(
                f"{which} is not a public address, and `deny_private` holds (unset, it holds for what came over the "
                "API); the operator can name the host in `allowed_hosts`"
            )
    return addresses
