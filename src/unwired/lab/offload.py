"""Segmentation offload of an interface, by the kernel's classic ethtool interface."""

import ctypes
import fcntl
import socket
import struct

from unwired.lab.namespace import Namespace

_SIOCETHTOOL = 0x8946
_ETHTOOL_STSO = 0x1F
_ETHTOOL_SGSO = 0x24


def segment_in_software(namespace: Namespace, interface: str) -> None:
    """The interface sends frames as a wire carries them, never 64 kB at once.

    A wire with a rate or a loss counts frames; and a large frame in an IPv6 tunnel cannot pass a packet socket at all:
    its header for segmentation knows no tunnels.
    """
    with namespace.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in (_ETHTOOL_STSO, _ETHTOOL_SGSO):
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
            request = struct.pack("@16sP16x", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
