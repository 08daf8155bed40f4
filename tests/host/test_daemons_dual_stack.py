"""Real daemons in IPv4 networks, with and without NAT, and with home addresses of both families."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dual_stack_network import (
    AGENT,
    AGENT_IPV4,
    HOME,
    HOME_IPV4,
    PEER,
    PEER_IPV4,
    dual_stack,
    home_agent_file,
    mobile_node_file,
    ping,
    reaches,
    use_ipv4,
    use_ipv6,
    use_nat,
)
from host_network import Network, ask, eventually, stop, transfer

from unwired.core.door import Event, NatProbed, ProbeNat
from unwired.host.nat_prober import NatProber
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

WITHIN_S = 30.0
"""For what takes a second on an idle machine."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with dual_stack(tmp_path) as network:
        yield network


class Daemons:
    """A home agent, and a mobile node that starts when that one is there."""

    def __init__(
        self,
        network: Network,
        agent: str = "",
        subscriber: str = f'home_address_ipv4 = "{HOME_IPV4}"',
        node: str = f'home_address_ipv4 = "{HOME_IPV4}"',
        interfaces: str = '["wlan0", "wwan0"]',
    ) -> None:
        self.agent_file = home_agent_file(network.directory, agent, subscriber)
        self.node_file = mobile_node_file(network.directory, node, interfaces)
        self._network = network
        self.agent = network.daemon("agent", self.agent_file)
        eventually(lambda: ask(self.agent_file, "status"), WITHIN_S)
        self.node = network.daemon("node", self.node_file)

    def engine(self, file: Path) -> dict[str, Any]:
        status = ask(file, "status")
        return {} if status is None else status["engine"] or {}

    def registered_by(self, encapsulation: str, care_of_address: str = "") -> dict[str, Any]:
        """The mobile node's state when it is registered in this way."""

        def there() -> dict[str, Any] | None:
            state = self.engine(self.node_file)
            fits = state.get("registered") and state["state"] == "registered"
            fits = fits and state["tunnel"]["encapsulation"] == encapsulation and state["home_address_ipv4"]
            return state if fits and care_of_address in (state["care_of_address"] or "") else None

        found: dict[str, Any] = eventually(there, WITHIN_S, f"registered in {encapsulation}")
        return found

    def stop(self) -> None:
        assert stop(self.node) == 0
        assert stop(self.agent) == 0


def everything_passes(network: Network) -> None:
    """Both families, both ways, packets of all sizes."""
    for source, destination in ((HOME, PEER), (HOME_IPV4, PEER_IPV4)):
        reaches(network, "node", destination, "-I", source)
        reaches(network, "peer", source)
        reaches(network, "node", destination)  # the home address is chosen
        assert transfer(network, "node", source, "peer", destination)
        assert transfer(network, "peer", destination, "node", source)


def host_settings(network: Network, name: str) -> list[str]:
    """What a daemon may change and must give back."""
    words = [("ip", "rule"), ("ip", "route"), ("ip", "-o", "link"), ("ip", "-o", "-4", "address")]
    lines = [line for command in words for line in network.inside(name, *command).splitlines()]
    names = r"net\.ipv4\.(conf\..*\.(rp_filter|forwarding)|ip_forward)"
    return lines + network.inside(name, "sysctl", "-a", "-r", names).splitlines()


@pytest.mark.parametrize(
    ("access", "encapsulation", "care_of_address"),
    [(use_ipv6, "ipv6", "2001:db8:11:"), (use_ipv4, "ipv4", "192.0.2.18"), (use_nat, "udp", "10.0.0.7")],
)
def test_an_access_network(
    network: Network, access: Callable[[Network], None], encapsulation: str, care_of_address: str
) -> None:
    """Also where the host filters by the reverse path as strictly as can be, which is as before afterwards."""
    for name in ("node", "agent"):
        network.inside(name, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1")
    access(network)
    before = {name: host_settings(network, name) for name in ("node", "agent")}
    daemons = Daemons(network)
    state = daemons.registered_by(encapsulation, care_of_address)
    assert state["home_address_ipv4"] == HOME_IPV4 and state["home_address_ipv4_bound"]
    (binding,) = (ask(daemons.agent_file, "bindings") or {})["bindings"]
    assert (binding["encapsulation"], binding["home_address_ipv4"]) == (encapsulation, HOME_IPV4)
    everything_passes(network)
    explained = ask(daemons.node_file, "explain", PEER_IPV4)
    assert explained is not None
    assert explained["route"]["table"] == 7700
    assert explained["tunnel"]["encapsulation"] == encapsulation
    assert explained["tunnel"]["local"].startswith(care_of_address)
    explained = ask(daemons.agent_file, "explain", HOME_IPV4)
    assert explained is not None and explained["tunnel"]["packets_received"] > 0
    daemons.stop()
    assert {name: host_settings(network, name) for name in ("node", "agent")} == before


def test_from_network_to_network(network: Network) -> None:
    """The mobile node moves from a public IPv4 address behind a NAT and back, and a connection goes on."""
    use_ipv4(network)
    use_nat(network)
    daemons = Daemons(network)
    daemons.registered_by("ipv4")
    everything_passes(network)
    network.inside("node", "ip", "link", "set", "wlan0", "down")
    daemons.registered_by("udp")
    everything_passes(network)
    network.inside("node", "ip", "link", "set", "wlan0", "up")
    network.inside("node", "ip", "route", "add", "default", "via", "192.0.2.17", "metric", "100")
    daemons.registered_by("ipv4")
    everything_passes(network)


def test_killed_and_succeeded(network: Network) -> None:
    """Packets go on meanwhile, and what others delete is put back afterwards; another configuration changes nothing."""
    network.inside("node", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
    use_nat(network)
    before = host_settings(network, "node")
    daemons = Daemons(network)
    daemons.registered_by("udp")
    everything_passes(network)
    for process in (daemons.node, daemons.agent):
        process.kill()
        process.wait()
    for source, destination in ((HOME, PEER), (HOME_IPV4, PEER_IPV4)):
        assert ping(network, "node", destination, "-I", source) and ping(network, "peer", source)
    daemons.agent = network.daemon("agent", daemons.agent_file)
    daemons.node = network.daemon("node", daemons.node_file)
    daemons.registered_by("udp")
    network.inside("node", "ip", "rule", "del", "from", HOME_IPV4, "lookup", "7700")
    network.inside("node", "ip", "route", "del", "default", "table", "7700")
    eventually(lambda: HOME_IPV4 in network.inside("node", "ip", "rule"), WITHIN_S)
    eventually(lambda: "mip0" in network.inside("node", "ip", "route", "show", "table", "7700"), WITHIN_S)
    file = daemons.node_file
    file.write_text(file.read_text().replace("[mobile_node]", "clamp_mss = false\n[mobile_node]\nlifetime_s = 600"))
    assert (ask(file, "reload") or {})["applied"]
    daemons.registered_by("udp")
    everything_passes(network)
    daemons.stop()
    assert host_settings(network, "node") == before


def test_a_nat_that_forgets(network: Network) -> None:
    """The home agent asks by the new mapping for a binding update, as soon as anything comes by it."""
    use_nat(network)
    daemons = Daemons(network)
    daemons.registered_by("udp")

    def port() -> int:
        (binding,) = (ask(daemons.agent_file, "bindings") or {})["bindings"]
        return int(binding["care_of_port"])

    everything_passes(network)
    before = port()
    rule = f"udp dport 4191 snat to 192.0.2.34:{before + 1}-{before + 9}"
    network.inside("nat", "nft", f"flush chain ip nat out; add rule ip nat out oifname up0 {rule}")
    network.inside("nat", "conntrack", "-F")
    reaches(network, "node", PEER, "-I", HOME)
    eventually(lambda: port() != before, WITHIN_S)
    everything_passes(network)
    status = ask(daemons.agent_file, "status")
    assert status is not None and status["data_plane"]["counters"]["nat_unknown"] > 0
    daemons.stop()


@pytest.mark.parametrize("network_of_server", ["ipv4", "ipv6"])
def test_a_server_with_one_family(network: Network, network_of_server: str) -> None:
    """Home addresses of both families pass all the same, as far as its own network has them."""
    if network_of_server == "ipv4":
        network.inside("agent", "ip", "-6", "address", "flush", "dev", "up0", "scope", "global")
        network.inside("agent", "ip", "-6", "route", "flush", "default")
        use_nat(network)
        daemons = Daemons(network)
        daemons.registered_by("udp")
        reaches(network, "node", AGENT, "-I", HOME)
        assert transfer(network, "node", HOME_IPV4, "peer", PEER_IPV4)
        assert "ipv6_disabled" not in (network.directory / "home-agent.log").read_text()
        daemons.stop()
        network.inside("agent", "sysctl", "-qw", "net.ipv6.conf.up0.disable_ipv6=1")
        agent = network.daemon("agent", daemons.agent_file)
        log = network.directory / "home-agent.log"
        eventually(lambda: "warning ipv6_disabled interface=up0" in log.read_text(), WITHIN_S)
        assert stop(agent) == 0
        return
    network.inside("agent", "ip", "-4", "address", "flush", "dev", "up0")
    network.inside("agent", "sysctl", "-qw", "net.ipv4.conf.up0.rp_filter=2")
    use_ipv6(network)
    daemons = Daemons(network)
    daemons.registered_by("ipv6")
    reaches(network, "node", AGENT_IPV4, "-I", HOME_IPV4)  # on the tunnel device: the server's network has no IPv4
    assert transfer(network, "node", HOME, "peer", PEER)
    daemons.stop()


def test_an_address_of_the_pool_and_a_mobile_prefix(network: Network) -> None:
    use_ipv4(network)
    network.namespace("host")
    network.link("node", "lan0", "host", "eth0")
    pool = 'mobile_prefix_pool_ipv4 = ["10.64.0.0/16"]'
    asks = 'home_address_ipv4 = "dynamic"\nmobile_prefix_length_ipv4 = 24'
    daemons = Daemons(network, pool, "", asks)
    state = daemons.registered_by("ipv4")
    home, prefix = state["home_address_ipv4"], state["mobile_prefix_ipv4"]
    assert home.startswith("203.0.113.") and int(home.split(".")[-1]) >= 128
    assert prefix.startswith("10.64.") and prefix.endswith("/24")
    reaches(network, "peer", home)
    inside = prefix.removesuffix("0/24")
    network.inside("node", "ip", "address", "add", f"{inside}1/24", "dev", "lan0")
    network.inside("host", "ip", "address", "add", f"{inside}9/24", "dev", "eth0")
    network.inside("host", "ip", "route", "add", "default", "via", f"{inside}1")
    reaches(network, "host", f"{inside}1")
    reaches(network, "host", PEER_IPV4)
    reaches(network, "peer", f"{inside}9")
    assert transfer(network, "peer", PEER_IPV4, "host", f"{inside}9")
    daemons.stop()


@pytest.mark.parametrize(
    ("access", "device"), [(use_ipv4, "visited1"), (use_nat, "inside"), (use_ipv6, "visited1")], ids=str
)
def test_a_narrow_path(network: Network, access: Callable[[Network], None], device: str) -> None:
    """On a link of 1280 bytes inner packets of 1280 bytes go in fragments, both ways, and IPv4 ones that may be
    fragmented, whatever they are in."""
    at_router = "router" if device == "visited1" else "nat"
    network.inside(at_router, "ip", "link", "set", device, "mtu", "1280")
    network.inside("node", "ip", "link", "set", "wlan0" if device == "visited1" else "wwan0", "mtu", "1280")
    access(network)
    daemons = Daemons(network)
    state = eventually(lambda: (now := daemons.engine(daemons.node_file)).get("registered") and now, WITHIN_S)
    daemons.registered_by(state["tunnel"]["encapsulation"])
    everything_passes(network)
    for name, source, destination in (("node", HOME, PEER), ("peer", PEER, HOME)):
        reaches(network, name, destination, "-I", source, "-s", "1232", "-M", "do")
    for name, source, destination in (("node", HOME_IPV4, PEER_IPV4), ("peer", PEER_IPV4, HOME_IPV4)):
        reaches(network, name, destination, "-I", source, "-s", "1300", "-M", "dont")
    for file in (daemons.node_file, daemons.agent_file):
        status = ask(file, "status")
        assert status is not None
        assert status["counters"]["sent_in_fragments"] > 0 and status["counters"]["reassembled"] > 0
    daemons.stop()


def test_a_nat_is_probed(network: Network) -> None:
    """By a mapping of its own, whose answer comes through the NAT after the time asked for."""
    use_nat(network)
    agent_file = home_agent_file(network.directory)
    agent = network.daemon("agent", agent_file)
    eventually(lambda: ask(agent_file, "status"), WITHIN_S)
    told: list[Event] = []

    async def probe() -> None:
        prober = NatProber(told.extend)
        for token in (6, 7):  # the later one takes the place of the one before
            with network.entered("node").inside():
                prober.probe(ProbeNat(token, parse_address("10.0.0.7"), parse_address(AGENT_IPV4), 1))
        while not told:
            await asyncio.sleep(0.01)
        prober.close()
        with pytest.raises(OSError, match="address"):
            prober.probe(ProbeNat(8, parse_address("10.0.0.8"), parse_address(AGENT_IPV4), 1))

    asyncio.run(asyncio.wait_for(probe(), WITHIN_S))
    assert told == [NatProbed(7)]
    assert stop(agent) == 0


def test_metrics(network: Network) -> None:
    use_ipv4(network)
    daemons = Daemons(network)
    daemons.agent_file.write_text(
        daemons.agent_file.read_text().replace("[home_agent]", 'metrics = "127.0.0.1:9467"\n[home_agent]')
    )
    refused = ask(daemons.agent_file, "reload")
    assert refused is None, "listening is not changed under way"
    assert stop(daemons.agent) == 0
    daemons.agent = network.daemon("agent", daemons.agent_file)
    daemons.registered_by("ipv4")

    def get(path: str) -> subprocess.CompletedProcess[str]:
        command = network.command("agent", "curl", "-sf", f"http://127.0.0.1:9467{path}")
        return subprocess.run(command, capture_output=True, text=True)

    text = eventually(lambda: get("/metrics").stdout, WITHIN_S)
    for line in (
        'unwired_drops_total{reason="malformed"} 0',
        'unwired_data_plane_packets_total{result="reverse_check"}',
    ):
        assert line in text
    assert get("/").returncode != 0
    command = network.command("agent", "curl", "-s", "-X", "POST", "-o/dev/null", "-w%{http_code}", "127.0.0.1:9467")
    assert subprocess.run(command, capture_output=True, text=True).stdout == "405"
    daemons.stop()


@pytest.fixture
def home_link(tmp_path: Path) -> Iterator[Network]:
    """A real home link with a home agent, a neighbour and the mobile node's eth0, which is down; elsewhere an IPv4
    network, at the mobile node's wlan0."""
    network = Network(tmp_path)
    try:
        for name in ("agent", "neighbour", "node", "switch", "router"):
            network.namespace(name)
        network.inside("switch", "ip", "link", "add", "br0", "type", "bridge")
        network.inside("switch", "ip", "link", "set", "br0", "up")
        for name, device in (("agent", "home0"), ("neighbour", "eth0"), ("node", "eth0")):
            network.link(name, device, "switch", name)
            network.inside("switch", "ip", "link", "set", name, "master", "br0")
        network.inside("node", "ip", "link", "set", "eth0", "down")
        network.link("agent", "up0", "router", "agent0")
        network.link("node", "wlan0", "router", "visited1")
        network.address("agent", "home0", "2001:db8:100::1/64")
        network.address("neighbour", "eth0", "2001:db8:100::9/64")
        for name, device, address in (
            ("agent", "home0", "203.0.113.1/24"),
            ("neighbour", "eth0", "203.0.113.9/24"),
            ("agent", "up0", "198.51.100.2/24"),
            ("router", "agent0", "198.51.100.1/24"),
            ("router", "visited1", "192.0.2.17/28"),
        ):
            network.inside(name, "ip", "address", "add", address, "dev", device)
        network.inside("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        network.inside("agent", "ip", "route", "add", "default", "via", "198.51.100.1")
        yield network
    finally:
        network.close()


def test_a_real_home_link(home_link: Network) -> None:
    """The home agent answers ARP for a mobile node that is away; at home it does so itself, and all hear of it."""
    network = home_link
    use_ipv4(network)
    daemons = Daemons(network, 'home_link = "home0"', interfaces='["eth0", "wlan0"]')

    def answers() -> str:
        """Who the neighbour thinks has the home address."""
        known = json.loads(network.inside("neighbour", "ip", "-j", "neigh", "show", HOME_IPV4))
        return str(known[0].get("lladdr")) if known else ""

    def link_layer_address(name: str, device: str) -> str:
        return str(json.loads(network.inside(name, "ip", "-j", "link", "show", device))[0]["address"])

    daemons.registered_by("ipv4")
    reaches(network, "neighbour", HOME_IPV4)
    reaches(network, "node", "203.0.113.9", "-I", HOME_IPV4)
    assert answers() == link_layer_address("agent", "home0")
    network.inside("node", "ip", "link", "set", "wlan0", "down")
    network.inside("node", "ip", "link", "set", "eth0", "up")
    network.inside("node", "ip", "address", "add", "203.0.113.50/24", "dev", "eth0")
    network.inside("node", "ip", "route", "add", "default", "via", "203.0.113.1")
    eventually(lambda: daemons.engine(daemons.node_file).get("at_home"), WITHIN_S)
    eventually(lambda: answers() == link_layer_address("node", "eth0"), WITHIN_S)
    assert HOME_IPV4 not in network.inside("agent", "ip", "neigh", "show", "proxy")
    reaches(network, "neighbour", HOME_IPV4)
    reaches(network, "node", "203.0.113.9", "-I", HOME_IPV4)
    network.inside("node", "ip", "link", "set", "eth0", "down")
    network.inside("node", "ip", "link", "set", "wlan0", "up")
    network.inside("node", "ip", "route", "add", "default", "via", "192.0.2.17", "metric", "100")
    daemons.registered_by("ipv4")
    eventually(lambda: answers() == link_layer_address("agent", "home0"), WITHIN_S)
    reaches(network, "neighbour", HOME_IPV4)
    daemons.stop()
    assert HOME_IPV4 not in network.inside("agent", "ip", "neigh", "show", "proxy")
