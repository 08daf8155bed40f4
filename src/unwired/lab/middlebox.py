"""What a router does to packets that are not its own besides forwarding them: NAT of IPv4, and dropping ICMP errors.

Both by nftables in the router's namespace. The NAT is the kernel's connection tracking: its mappings depend on address
and port, and so does its filtering (RFC 4787 sections 4.1 and 5).
"""

import ipaddress
import subprocess
from collections.abc import Sequence

from unwired.lab.namespace import Namespace
from unwired.lab.processes import LabError
from unwired.lab.scenario import Nat, NatPorts, Node

_ERRORS = {
    "icmp": "destination-unreachable, time-exceeded, parameter-problem",
    "icmpv6": "destination-unreachable, packet-too-big, time-exceeded, parameter-problem",
}


def install(namespace: Namespace, node: Node) -> None:
    """What the file says of this node. Raises LabError."""
    if node.nat is not None:
        namespace.set_sysctl("net/netfilter/nf_conntrack_udp_timeout", node.nat.udp_timeout_s)
        namespace.set_sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", node.nat.udp_stream_timeout_s)
        _load(namespace, translation(node.nat, outside_addresses(node)[0], node.nat.ports))
    if node.drops_icmp:
        _load(namespace, filtering())


def rebind(namespace: Namespace, node: Node, times: int) -> None:
    """Forget every mapping; new ones get random ports, and the next of the outside addresses after so many ``times``.
    Raises LabError."""
    if node.nat is None:
        raise LabError(f"{node.name} has no NAT")
    addresses = outside_addresses(node)
    _load(namespace, translation(node.nat, addresses[times % len(addresses)], NatPorts.RANDOM))
    _run(namespace, ["conntrack", "-F"], "")


def outside_addresses(node: Node) -> list[str]:
    """Those that the node's NAT may use, without prefix lengths."""
    addresses = map(ipaddress.ip_interface, node.interfaces[node.nat.outside] if node.nat else [])
    return [str(address.ip) for address in addresses if address.version == 4]


def translation(nat: Nat, address: str, ports: NatPorts) -> str:
    """The rules of a NAT in nft's language; loaded again, they take the place of those before."""
    how = " fully-random" if ports is NatPorts.RANDOM else ""
    return (
        "table ip nat {}\ndelete table ip nat\n"
        "table ip nat {\n  chain leaving {\n    type nat hook postrouting priority srcnat\n"
        f'    oifname "{nat.outside}" ip saddr != {address} snat to {address}{how}\n  }}\n}}\n'
    )


def filtering() -> str:
    """The rules that keep ICMP errors from leaving."""
    rules = "".join(f"    {kind} type {{ {types} }} drop\n" for kind, types in _ERRORS.items())
    head = "    type filter hook {hook} priority filter\n"
    chains = "".join(f"  chain {hook} {{\n{head.format(hook=hook)}{rules}  }}\n" for hook in ("output", "forward"))
    return f"table inet silence {{\n{chains}}}\n"


def _load(namespace: Namespace, rules: str) -> None:
    _run(namespace, ["nft", "-f", "-"], rules)


def _run(namespace: Namespace, command: Sequence[str], text: str) -> None:
    try:
        with namespace.inside():
            done = subprocess.run(command, input=text, capture_output=True, text=True)
    except FileNotFoundError:
        fix = f"(on Debian: apt install {'nftables' if command[0] == 'nft' else command[0]})"
        raise LabError(f"{command[0]} is not installed, and this scenario's middleboxes need it {fix}") from None
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
