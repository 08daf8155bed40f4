"""The host's network as it is configured: addresses, routes, MTU, and kernel settings that drop what is ours."""

import os
from collections.abc import Iterator

from unwired.core.forwarding import Encapsulation
from unwired.doctor.finding import Result, fail, ok, warn
from unwired.doctor.host import Host, Interface
from unwired.wire.address import Address, format_address, format_prefix, in_prefix, network

MTU_MIN = 1280
"""RFC 8200 section 5."""
_TUNNELS = {"sit", "ip6tnl", "ip6gre", "gre", "ipip", "vti6", "wireguard", "tun"}
_TRANSITION = ((bytes.fromhex("2002") + bytes(14), 16), (bytes.fromhex("20010000") + bytes(12), 32))
"""6to4 (RFC 3056) and Teredo (RFC 4380)."""


def uplinks(host: Host) -> Iterator[Result]:
    there = {interface.name for interface in host.interfaces}
    missing = [name for name in host.named_uplinks if name not in there]
    for name in missing:
        yield warn(f"there is no interface {name}, which the configuration names", "ip link", name)
    down = [interface for interface in host.uplinks if not interface.up]
    for interface in down:
        yield warn("it is down", f"ip link set {interface.name} up", interface.name)
    if not missing and not host.uplinks:
        yield warn("no interface is up", "ip link set NAME up")
    elif not missing and not down:
        yield ok(f"{_names(host.uplinks)}: up")


def ipv6(host: Host) -> Iterator[Result]:
    everywhere = host.sysctl("net/ipv6/conf/all/disable_ipv6")
    if everywhere is None:
        yield fail("this kernel has no IPv6, or was booted with ipv6.disable=1", "boot it with IPv6")
        return
    if everywhere == "1":
        yield fail("IPv6 is disabled everywhere", "sysctl -w net.ipv6.conf.all.disable_ipv6=0")
        return
    disabled = [
        interface for interface in host.uplinks if host.sysctl(f"net/ipv6/conf/{interface.name}/disable_ipv6") == "1"
    ]
    for interface in disabled:
        yield fail(
            f"IPv6 is disabled on {interface.name}",
            f"sysctl -w net.ipv6.conf.{interface.name}.disable_ipv6=0",
            interface.name,
        )
    if not disabled:
        yield ok("on")


def addresses(host: Host) -> Iterator[Result]:
    """Of both families: IPv4 matters where the configuration says so, and then IPv6 may be missing."""
    for ipv4, family in ((False, "IPv6"), (True, "IPv4")):
        found = [
            f"{format_address(address)} on {interface.name}"
            for interface in host.uplinks
            for address in interface.routable(ipv4)
        ]
        option = "-4" if ipv4 else "-6"
        if not found:
            lacking = f"no interface has an {family} address that the Internet could reach"
            fix = f"ip {option} address add ADDRESS/LENGTH dev NAME"
        elif not host.default_routes[ipv4]:
            lacking, fix = f"there is no {family} default route", f"ip {option} route add default via ROUTER dev NAME"
        else:
            yield ok(f"{', '.join(found)}; a default route", family)
            continue
        if ipv4 and not host.uses_ipv4:
            yield ok(f"{lacking}, and nothing here asks for one", family)
        elif host.home_agent is not None and ipv4 == host.uses_ipv4:
            yield fail(f"{lacking}: mobile nodes in {family} networks can't reach this home agent", fix, family)
        else:
            yield warn(f"{lacking} just now", fix, family)


def native_ipv6(host: Host) -> Iterator[Result]:
    tunnels = [
        interface
        for interface in host.uplinks
        if interface.index in host.default_routes[False] and interface.kind in _TUNNELS
    ]
    for interface in tunnels:
        yield warn(
            f"IPv6 comes by {interface.name}, a tunnel ({interface.kind}): every mobile node's packets take its detour",
            "ask the provider for native IPv6",
            interface.name,
        )
    for interface in host.uplinks:
        for address in interface.routable(ipv4=False):
            if any(in_prefix(address, *prefix) for prefix in _TRANSITION):
                yield warn(
                    f"{format_address(address)} is an address of 6to4 or Teredo, whose relays nobody answers for",
                    "ask the provider for native IPv6",
                    interface.name,
                )
                tunnels.append(interface)
    if not tunnels:
        yield ok("IPv6 does not come by a tunnel")


def mtu(host: Host) -> Iterator[Result]:
    for interface in host.uplinks:
        fix = f"ip link set {interface.name} mtu 1500"
        room = {each: interface.mtu - each.overhead for each in Encapsulation}
        said = ", ".join(f"{size} in {each.name.replace('V', 'v')}" for each, size in room.items())
        if interface.mtu < MTU_MIN:
            yield fail(f"{interface.mtu} bytes, and the kernel has no IPv6 below {MTU_MIN}", fix, interface.name)
        elif room[Encapsulation.IPV6] < MTU_MIN:
            yield warn(f"{interface.mtu} bytes leave {said}: less than the {MTU_MIN} of IPv6", fix, interface.name)
        else:
            yield ok(f"{interface.mtu} bytes leave {said}", interface.name)


def forwarding(host: Host) -> Iterator[Result]:
    families = ("ipv6", "ipv4") if host.has_ipv4_home_addresses else ("ipv6",)
    for family in families:
        everywhere = host.sysctl(f"net/{family}/conf/all/forwarding") == "1"
        left_out = [
            interface
            for interface in host.uplinks
            if everywhere and host.sysctl(f"net/{family}/conf/{interface.name}/forwarding") == "0"
        ]
        for interface in left_out:
            yield fail(
                f"on, but off for what arrives by {interface.name}: the daemon would not touch that",
                f"sysctl -w net.{family}.conf.{interface.name}.forwarding=1",
                interface.name,
            )
        if not left_out:
            yield ok("on" if everywhere else "off, as on any host: the daemon turns it on while it runs", family)


def settings_writable(host: Host) -> Iterator[Result]:
    name = "/proc/sys/net/ipv6/conf/all/forwarding"
    if os.statvfs("/proc/sys/net").f_flag & os.ST_RDONLY or not os.access(name, os.W_OK):
        yield fail(
            f"{name} can't be written, as in many containers",
            "mount -o remount,rw /proc/sys, or run the container with it writable (docker run --privileged)",
        )
    else:
        yield ok("the daemon can set what it needs below /proc/sys/net")


def reverse_path(host: Host) -> Iterator[Result]:
    """Of two settings the greater one counts (Documentation/networking/ip-sysctl.rst). The daemon switches the filter
    off where tunnels end; a host manager may switch it on again."""
    everywhere = host.sysctl("net/ipv4/conf/all/rp_filter") or "0"
    strict = [
        interface
        for interface in host.uplinks
        if max(everywhere, host.sysctl(f"net/ipv4/conf/{interface.name}/rp_filter") or "0") == "1"
    ]
    if not strict:
        yield ok("not strict")
    elif host.status is None:
        yield ok(f"strict (rp_filter 1) on {_names(strict)}: the daemon switches it off there while it runs")
    else:
        for interface in strict:
            yield (fail if host.has_ipv4_home_addresses else warn)(
                f"strict (rp_filter 1) on {interface.name}, although the daemon runs and has switched it off: "
                "IPv4 packets out of tunnels are dropped",
                f"sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{interface.name}.rp_filter=0",
                interface.name,
            )


def router_advertisements(host: Host) -> Iterator[Result]:
    managed = {"NetworkManager", "systemd-network", "dhcpcd", "connmand"} & host.programs
    wrong = False
    for interface in host.uplinks:
        accept = host.sysctl(f"net/ipv6/conf/{interface.name}/accept_ra")
        forwards = host.sysctl(f"net/ipv6/conf/{interface.name}/forwarding") == "1"
        fix = f"sysctl -w net.ipv6.conf.{interface.name}.accept_ra={2 if forwards else 1}"
        if accept == "0" and not managed:
            yield warn("not accepted (accept_ra 0): no care-of address comes of them", fix, interface.name)
        elif accept == "1" and forwards:
            yield fail("ignored, because this host forwards and accept_ra is not 2", fix, interface.name)
        else:
            continue
        wrong = True
    if not wrong:
        yield ok("accepted" if not managed else f"left to {', '.join(sorted(managed))}")


def express_data_path(host: Host) -> Iterator[Result]:
    for interface in host.uplinks:
        if interface.has_xdp:
            yield warn(
                "an XDP program is attached, which sees packets before us and may take some",
                f"look at it: bpftool net show dev {interface.name}; take it off: ip link set {interface.name} xdp off",
                interface.name,
            )
    if not any(interface.has_xdp for interface in host.uplinks):
        yield ok("no XDP program is in front of ours")


def home_prefix(host: Host) -> Iterator[Result]:
    """On a virtual home link no wire may have the prefix: neighbours there would be asked for home addresses."""
    link = None if host.home_agent is None else host.home_agent.home_link
    overlaps = False
    for interface in host.interfaces:
        for address, length in interface.networks():
            for home in host.home_prefixes:
                if interface.name in (link, host.tunnel_device) or not _overlap(home, (address, length)):
                    continue
                overlaps = True
                yield fail(
                    f"the home prefix {format_prefix(*home)} is also the network of {interface.name} "
                    f"({format_prefix(network(address, length), length)})",
                    f'have another prefix routed here; or, if it is the home link, say home_link = "{interface.name}"',
                    interface.name,
                )
    if not overlaps:
        yield ok("on no other link of this host")


def _overlap(one: tuple[Address, int], other: tuple[Address, int]) -> bool:
    return in_prefix(one[0], other[0], min(one[1], other[1]))


def _names(interfaces: list[Interface]) -> str:
    return ", ".join(interface.name for interface in interfaces)
