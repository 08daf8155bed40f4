"""What the path under a tunnel carries, as learnt from ICMP: the same for every tunnel."""

from unwired.core.forwarding import Encapsulation

PATH_MTU_LIFETIME_S = 600.0
"""After this long a path is tried again with larger packets (RFC 8201 section 4)."""
MINIMUM_MTU = 1280
"""Of IPv6: no source goes below it."""
MINIMUM_MTU_IPV4 = 576
"""What every IPv4 host takes (RFC 791). Less is believed of no path: forged, it would cut all packets to pieces."""


def inner_mtu(path_mtu: int, encapsulation: Encapsulation = Encapsulation.IPV6) -> int:
    """The largest packet, in bytes, for a tunnel whose path carries ``path_mtu``.

    It may be less than IPv6's minimum: what no source can make any smaller is then fragmented on the outside (RFC 2473
    section 7.1).
    """
    minimum = MINIMUM_MTU if encapsulation is Encapsulation.IPV6 else MINIMUM_MTU_IPV4
    return max(minimum, path_mtu) - encapsulation.overhead
