"""Sockets of a node that moves: bound to an address that may come and go."""

import ipaddress
import socket

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78


def open_socket(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """A socket bound to ``address`` (of either family), whether or not the host has it at the moment."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    result = socket.socket(family, kind)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        result.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    else:
        result.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    result.bind((address, port))
    return result
