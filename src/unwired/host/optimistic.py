"""What makes a new link usable at once: optimistic addresses (RFC 4429) and what a router says of itself.

The kernel makes an address optimistic only when the router advertisement has a Source Link-Layer Address option. What
counts (RFC 4429 section 3.3) is that the router's link-layer address is known, and often it is without that option: a
router that answers a solicitation by unicast has asked for ours first and told its own, and else it is asked.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from unwired.host import netlink
from unwired.host.netlink import Message, Netlink
from unwired.wire.address import Address, format_address, in_prefix, is_ipv4, is_link_local, parse_address
from unwired.wire.icmpv6 import RouterAdvertisement
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import PrefixInformation, SourceLinkLayerAddress

_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x40
_IFA_F_KEPT: Final = 0x700
"""MANAGETEMPADDR, NOPREFIXROUTE and MCAUTOJOIN: flags that a change must repeat."""
_NTF_USE, _NTF_ROUTER = 0x01, 0x80
_NUD_INCOMPLETE, _NUD_REACHABLE, _NUD_FAILED = 0x01, 0x02, 0x20
_LOOK_AGAIN_S = (0.002, 0.005, 0.02)
"""Our socket may hear an advertisement just before the kernel has made an address of it; and a router takes a moment
to say its link-layer address."""
_ROUTES_REMEMBERED_S: Final = 0.02
"""The data plane looks a route up once a jiffy (bpf/route.h), which is 10 ms at most; twice that for a late tick."""


class NewLink:
    """Hears the router advertisements that the engine hears. ``usable`` is told of an address that has become
    optimistic (interface, address, prefix length): the kernel tells nobody."""

    def __init__(self, kernel: Netlink, usable: Callable[[int, Address, int], None]) -> None:
        self._kernel = kernel
        self._usable = usable

    def heard(self, packet: Packet, interface: int) -> None:
        """An advertisement came in. Failures are only slower: the kernel does its own later."""
        advertisement = packet.payload
        if not isinstance(advertisement, RouterAdvertisement) or packet.hop_limit != 255:
            return
        if not is_link_local(packet.source):
            return
        prefixes = [option for option in advertisement.options if isinstance(option, PrefixInformation)]
        for source in advertisement.options:
            if isinstance(source, SourceLinkLayerAddress):
                self._record(interface, source.address, prefixes)
                return  # the kernel makes its addresses optimistic itself
        autonomous = [prefix for prefix in prefixes if prefix.autonomous and prefix.prefix_length == 64]
        if autonomous:
            self._ask_for(packet.source, interface)
            self._hasten(packet.source, interface, autonomous, 0)

    def came_up(self, interface: int) -> None:
        """Neighbours that somebody asked for in vain while there was no link are asked for anew at the next packet: as
        they are, that packet would wait for the old question's end, and be dropped with it."""
        try:
            known = self._kernel.dump(netlink.RTM_GETNEIGH) + self._kernel.dump(netlink.RTM_GETNEIGH, socket.AF_INET)
            for message in known:
                if message["ifindex"] == interface and message["state"] & (_NUD_INCOMPLETE | _NUD_FAILED):
                    self._give_up(parse_address(message.get_attr("NDA_DST")), interface)
        except OSError:
            pass  # only slower

    def left(self, router: Address, interface: int) -> None:
        """Nobody is to send by this router any more. What still waits for its link-layer address would wait for
        seconds, and TCP sends nothing again of which a copy waits here: give it up.

        And once more when the data plane has forgotten its route: that giving up lets TCP send at once, before the
        kernel has even deleted the neighbour, and by a route remembered from before the question begins again."""
        self._give_up(router, interface)
        asyncio.get_running_loop().call_later(_ROUTES_REMEMBERED_S, self._give_up, router, interface)

    def _give_up(self, router: Address, interface: int) -> None:
        try:
            fields = {"family": socket.AF_INET if is_ipv4(router) else socket.AF_INET6, "ifindex": interface}
            self._kernel.change(netlink.RTM_DELNEIGH, 0, fields, {"NDA_DST": format_address(router)})
        except OSError:
            pass  # nothing waits

    def _record(self, interface: int, link_layer_address: bytes, prefixes: list[PrefixInformation]) -> None:
        """A router's global address and link-layer address (RFC 6275 section 7.2), so that a mobile node that returns
        home need not ask for its home agent's, which it could not from an optimistic address (section 11.5.5)."""
        for prefix in prefixes:
            if not prefix.router_address:
                continue
            fields = {"family": socket.AF_INET6, "ifindex": interface, "state": _NUD_REACHABLE, "flags": _NTF_ROUTER}
            attributes = {"NDA_DST": format_address(prefix.prefix), "NDA_LLADDR": link_layer_address.hex(":")}
            try:
                flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
                self._kernel.change(netlink.RTM_NEWNEIGH, flags, fields, attributes)
            except OSError:
                continue

    def _ask_for(self, router: Address, interface: int) -> None:
        """Let the kernel solicit a router's link-layer address, from our link-local address."""
        fields = {"family": socket.AF_INET6, "ifindex": interface, "flags": _NTF_USE}
        try:
            attributes = {"NDA_DST": format_address(router)}
            self._kernel.change(netlink.RTM_NEWNEIGH, netlink.NLM_F_CREATE, fields, attributes)
        except OSError:
            return

    def _hasten(self, router: Address, interface: int, prefixes: list[PrefixInformation], tries: int) -> None:
        """Make the tentative addresses that came of an advertisement optimistic."""
        try:
            found = self._addresses(interface, prefixes)
            waiting = [message for message in found if self._is_waiting(message)]
            known = bool(waiting) and self._is_router_known(router, interface)
            for message in waiting if known else ():
                self._make_optimistic(message)
        except OSError:
            return
        if (not found or (waiting and not known)) and tries < len(_LOOK_AGAIN_S):
            loop = asyncio.get_running_loop()
            loop.call_later(_LOOK_AGAIN_S[tries], self._hasten, router, interface, prefixes, tries + 1)

    def _addresses(self, interface: int, prefixes: list[PrefixInformation]) -> list[Message]:
        return [
            message
            for message in self._kernel.dump(netlink.RTM_GETADDR)
            if message["index"] == interface
            and any(
                in_prefix(parse_address(message.get_attr("IFA_ADDRESS")), prefix.prefix, prefix.prefix_length)
                for prefix in prefixes
            )
        ]

    def _is_waiting(self, message: Message) -> bool:
        flags = message.get_attr("IFA_FLAGS")
        return bool(flags & _IFA_F_TENTATIVE) and not flags & (_IFA_F_OPTIMISTIC | _IFA_F_DADFAILED)

    def _is_router_known(self, router: Address, interface: int) -> bool:
        return any(
            message["ifindex"] == interface
            and message.get_attr("NDA_LLADDR")
            and parse_address(message.get_attr("NDA_DST")) == router
            for message in self._kernel.dump(netlink.RTM_GETNEIGH)
        )

    def _make_optimistic(self, message: Message) -> None:
        """The kernel goes on with duplicate address detection; refused where it is not allowed to (forwarding)."""
        times = message.get_attr("IFA_CACHEINFO")
        flags = message.get_attr("IFA_FLAGS") & _IFA_F_KEPT | _IFA_F_OPTIMISTIC
        self._kernel.change(
            netlink.RTM_NEWADDR,
            netlink.NLM_F_REPLACE,
            {"family": socket.AF_INET6, "prefixlen": message["prefixlen"], "index": message["index"]},
            {"IFA_ADDRESS": message.get_attr("IFA_ADDRESS"), "IFA_FLAGS": flags, "IFA_CACHEINFO": times},
        )
        self._usable(message["index"], parse_address(message.get_attr("IFA_ADDRESS")), message["prefixlen"])
