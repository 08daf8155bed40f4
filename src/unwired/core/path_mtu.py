"""What the path under a tunnel carries, as learnt from Packet Too Big: the same for every tunnel."""

PATH_MTU_LIFETIME_S = 600.0
"""After this long a path is tried again with larger packets (RFC 8201 section 4)."""
MINIMUM_MTU = 1280
_OUTER_HEADER = 40


def inner_mtu(path_mtu: int) -> int:
    """The largest packet, in bytes, for a tunnel whose path carries ``path_mtu``.

    No source goes below IPv6's minimum. The data plane does not fragment tunnel packets, as RFC 2473 section 7.1 would
    have it there: a path that is narrower loses what is larger.
    """
    return max(MINIMUM_MTU, path_mtu - _OUTER_HEADER)
