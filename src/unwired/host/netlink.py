"""The kernel's network configuration by netlink: requests that wait for the kernel's answer, and a stream of changes.

pyroute2's message classes do the encoding; its sockets are not used, because they run an event loop of their own and
refuse to work inside the daemon's. The kernel answers a request within the call, so waiting costs some microseconds
and keeps the order of actions.
"""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

Message = Any
"""pyroute2's classes are untyped: a mapping with ``get_attr``."""

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x001, 0x004, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWADDRLABEL, RTM_DELADDRLABEL, RTM_GETADDRLABEL = 72, 73, 74

RTNLGRP_LINK, RTNLGRP_NEIGH = 1, 3
RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE = 5, 7, 8
RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE = 9, 11, 19
_GROUPS = (
    RTNLGRP_LINK,
    RTNLGRP_NEIGH,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV6_RULE,
)
NETLINK_ADD_MEMBERSHIP = 1
SOL_NETLINK = 270
SO_RCVBUFFORCE = 33


class ifaddrlblmsg(nlmsg):  # type: ignore[misc]
    """Address labels (linux/if_addrlabel.h), which pyroute2 lacks."""

    fields = (("family", "B"), ("pad", "B"), ("prefixlen", "B"), ("flags", "B"), ("index", "I"), ("sequence", "I"))
    nla_map = (("IFAL_UNSPEC", "none"), ("IFAL_ADDRESS", "ip6addr"), ("IFAL_LABEL", "uint32"))


_CLASSES: Final = {
    RTM_GETLINK: ifinfmsg,
    RTM_GETADDR: ifaddrmsg,
    RTM_GETROUTE: rtmsg,
    RTM_GETRULE: fibmsg,
    RTM_GETNEIGH: ndmsg,
    RTM_GETADDRLABEL: ifaddrlblmsg,
}


class NetlinkError(OSError):
    """The kernel refused a request; ``errno`` says why."""


class Netlink:
    """Requests. One request at a time; every call returns when the kernel has answered."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._marshal = MarshalRtnl()
        self._sequence = 0
        self.port: Final[int] = self._socket.getsockname()[0]
        """What the kernel calls us: notices of changes to routes and rules name who asked for them."""

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, flags: int, fields: dict[str, Any], attributes: dict[str, Any]) -> list[Message]:
        """Send one request and return the messages that answer it. Raises NetlinkError."""
        self._sequence += 1
        # RTM types come in groups of four (new, del, get, set) that share one message class.
        message = _CLASSES[kind & ~3 | 2]()
        for name, value in fields.items():
            message[name] = value
        message["attrs"] = list(attributes.items())
        message["header"]["type"] = kind
        message["header"]["flags"] = flags | NLM_F_REQUEST
        message["header"]["sequence_number"] = self._sequence
        message.encode()
        self._socket.send(message.data)
        return list(self._answers(dump=flags & NLM_F_DUMP == NLM_F_DUMP, acknowledged=bool(flags & NLM_F_ACK)))

    def change(self, kind: int, flags: int, fields: dict[str, Any], attributes: dict[str, Any]) -> None:
        self.request(kind, flags | NLM_F_ACK, fields, attributes)

    def dump(self, kind: int, family: int = socket.AF_INET6, **fields: int) -> list[Message]:
        return self.request(kind, NLM_F_DUMP, {"family": family, **fields}, {})

    def _answers(self, dump: bool, acknowledged: bool) -> Iterator[Message]:
        while True:
            # A dump's buffers are at most 32 KiB; a single answer is far smaller.
            for message in self._marshal.parse(self._socket.recv(1 << 16)):
                header = message["header"]
                if header["sequence_number"] != self._sequence:
                    continue
                if header["type"] == NLMSG_DONE:
                    return
                if header["type"] == NLMSG_ERROR:
                    if header["error"] is not None:
                        code = abs(header["error"].code)
                        raise NetlinkError(code, os.strerror(code))
                    return
                yield message
                if not dump and not acknowledged:
                    return


class NetlinkChanges:
    """What changed: links, addresses, routes, rules and neighbours, as the kernel tells it."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        # A full routing table reloading next to us must not make us miss a link going down.
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self._socket.bind((0, 0))
        for group in _GROUPS:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self._marshal = MarshalRtnl()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[Message] | None:
        """What has happened since the last call; None when the kernel had to drop some of it: ask for everything."""
        messages: list[Message] = []
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return messages
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    return None
                raise
            messages.extend(self._marshal.parse(data))
