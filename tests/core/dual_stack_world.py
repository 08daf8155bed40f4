"""A home agent and a mobile node of both families, and access networks of every kind, in the simulator."""

from dataclasses import replace

from roaming_world import ASSOCIATION, CORRESPONDENT, HOME_ADDRESS, HOME_PREFIX, MOBILE_NODE, VIRTUAL

from unwired.core.binding_states import State as BindingState
from unwired.core.mobile_node_states import State
from unwired.core.settings import HomeAgentSettings, MobileNodeSettings, Subscriber
from unwired.sim.hosts import Correspondent, HomeAgentHost, MobileHost, every
from unwired.sim.nat import Nat
from unwired.sim.network import Datagram, Impairment, Link, Network
from unwired.wire.address import IPV4_BITS, UNSPECIFIED, Address, parse_address

HOME_AGENT_IPV4 = parse_address("198.51.100.1")
HOME_ADDRESS_IPV4 = parse_address("203.0.113.7")
CORRESPONDENT_IPV4 = parse_address("192.0.2.5")
SUBSCRIBER = Subscriber(b"mn@example.org", HOME_ADDRESS, (ASSOCIATION,), home_address_ipv4=HOME_ADDRESS_IPV4)
AGENT = replace(
    VIRTUAL,
    address_ipv4=HOME_AGENT_IPV4,
    home_prefixes_ipv4=((parse_address("203.0.113.0"), IPV4_BITS + 24),),
)
NODE = replace(MOBILE_NODE, home_agent_ipv4=HOME_AGENT_IPV4, home_address_ipv4=HOME_ADDRESS_IPV4)


def ipv4(text: str) -> tuple[tuple[Address, int], ...]:
    return ((parse_address(text), IPV4_BITS + 24),)


class World:
    """``links`` by name: ``ipv6`` and ``other_ipv6``, ``public`` IPv4, behind a ``nat``, behind ``two_nats``, and
    ``dual``, which has IPv6 and IPv4 behind another NAT."""

    def __init__(
        self,
        seed: int = 0,
        path: Impairment | None = None,
        home_agent: HomeAgentSettings = AGENT,
        mobile_node: MobileNodeSettings = NODE,
        interfaces: tuple[str, ...] = ("wlan0",),
    ) -> None:
        path = path or Impairment(0.01)
        self.network = network = Network(seed)

        def nat(text: str) -> Nat:
            return Nat(parse_address(text), lambda: network.timeline.time)

        served = (*ipv4("198.51.100.0"), *home_agent.home_prefixes_ipv4, *home_agent.mobile_prefix_pool_ipv4)
        self.home = network.link("home", HOME_PREFIX, Impairment(path.delay_s), advertises=False, ipv4=served)
        self.nat, self.near, self.far, self.dual = (
            nat("192.0.2.101"),
            nat("10.9.9.2"),
            nat("192.0.2.102"),
            nat("192.0.2.103"),
        )
        prefix = parse_address
        self.links: dict[str, Link] = {
            "ipv6": network.link("ipv6", prefix("2001:db8:1::"), path),
            "other_ipv6": network.link("other_ipv6", prefix("2001:db8:2::"), path),
            "public": network.link("public", UNSPECIFIED, path, ipv4=ipv4("198.18.1.0")),
            "nat": network.link("nat", UNSPECIFIED, path, ipv4=ipv4("192.168.1.0"), nats=(self.nat,)),
            # The same private network once more: only that the link came up tells them apart.
            "two_nats": network.link(
                "two_nats", UNSPECIFIED, path, ipv4=ipv4("192.168.1.0"), nats=(self.near, self.far)
            ),
            "dual": network.link("dual", prefix("2001:db8:3::"), path, ipv4=ipv4("192.168.3.0"), nats=(self.dual,)),
        }
        self.agent = HomeAgentHost(network, self.home, home_agent, [SUBSCRIBER])
        self.mobile = MobileHost(network, mobile_node, interfaces)
        self.correspondents = [Correspondent(network, address) for address in (CORRESPONDENT, CORRESPONDENT_IPV4)]

    @property
    def time(self) -> float:
        return self.network.timeline.time

    @property
    def state(self) -> State:
        return self.mobile.mobile_node.machine.state

    def run(self, seconds: float) -> None:
        self.network.timeline.run_for(seconds)

    def move(self, link: str | None, interface: str = "wlan0") -> None:
        if link is None:
            self.mobile.interfaces[interface].detach()
        else:
            self.mobile.interfaces[interface].attach(self.links[link])

    def probe(self, seconds: float, interval_s: float = 0.02) -> None:
        """Data of both families in both directions from now on, numbered from 0."""
        until = self.time + seconds
        pairs = ((HOME_ADDRESS, CORRESPONDENT), (HOME_ADDRESS_IPV4, CORRESPONDENT_IPV4))
        for (home, address), correspondent in zip(pairs, self.correspondents, strict=True):

            def inward(number: int, home: Address = home, correspondent: Correspondent = correspondent) -> None:
                correspondent.sends(number, home)

            def outward(number: int, home: Address = home, address: Address = address) -> None:
                self.mobile.application_sends(Datagram(number, home, address, self.time))

            every(self.network, interval_s, until, inward)
            every(self.network, interval_s, until, outward)

    def missing(self, count: int) -> dict[str, list[int]]:
        """Which of the first ``count`` packets did not arrive, by direction and family."""
        found = {}
        for name, family, home in (("ipv6", 0, HOME_ADDRESS), ("ipv4", 1, HOME_ADDRESS_IPV4)):
            inward = {one.number for one in self.mobile.arrived if one.destination == home}
            outward = {one.number for one in self.correspondents[family].arrived}
            found[f"to {name}"] = sorted(set(range(count)) - inward)
            found[f"from {name}"] = sorted(set(range(count)) - outward)
        return {name: numbers for name, numbers in found.items() if numbers}

    def care_of_address(self) -> Address | None:
        """What the home agent's binding cache says."""
        binding = self.agent.home_agent.cache.get(HOME_ADDRESS)
        bound = binding is not None and binding.state == BindingState.BOUND
        return binding.care_of_address if bound and binding is not None else None

    def describe(self) -> str:
        names = [notice.name for _, notice in self.mobile.notices if notice.name != "state_changed"]
        return f"\n{self.network.describe()}\n{names}\n{self.state}\n{self.network.counts}"

    def assert_agreement(self) -> None:
        """Packets of both families get through both ways, now."""
        assert self.state is State.REGISTERED, self.describe()
        self.mobile.arrived.clear()
        for correspondent in self.correspondents:
            correspondent.arrived.clear()
        self.probe(0.02)
        self.run(0.5)
        assert self.missing(1) == {}, self.describe()
