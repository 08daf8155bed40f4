"""A home agent, a mobile node, three access links and a correspondent in the simulator, for the tests beside this."""

from dataclasses import replace

from unwired.core.binding_states import State as BindingState
from unwired.core.mobile_node_states import State
from unwired.core.settings import HomeAgentSettings, HomePrefix, MobileNodeSettings, SecurityAssociation, Subscriber
from unwired.sim.hosts import Correspondent, HomeAgentHost, MobileHost, every
from unwired.sim.network import Datagram, Impairment, Link, Network
from unwired.wire.address import Address, parse_address

HOME_PREFIX = parse_address("2001:db8:100::")
HOME_AGENT = parse_address("2001:db8:100::1")
HOME_ADDRESS = parse_address("2001:db8:100::1000")
CORRESPONDENT = parse_address("2001:db8:900::5")
ASSOCIATION = SecurityAssociation(256, bytes(range(16)))
SUBSCRIBER = Subscriber(b"mn@example.org", HOME_ADDRESS, (ASSOCIATION,))
MOBILE_NODE = MobileNodeSettings(b"mn@example.org", HOME_ADDRESS, 64, HOME_AGENT, ASSOCIATION, lifetime_s=60)
VIRTUAL = HomeAgentSettings(HOME_AGENT, (HomePrefix(HOME_PREFIX, 64),))
REAL = replace(
    VIRTUAL,
    home_interface=1,
    home_interface_link_layer_address=bytes((2, 0, 0, 0, 3, 1)),
    home_interface_link_local_address=parse_address("fe80::100"),
)


class World:
    """``access[0]`` to ``access[2]`` are the links to visit; ``home`` is real when ``home_agent`` settings say so."""

    def __init__(
        self,
        seed: int = 0,
        path: Impairment | None = None,
        home_agent: HomeAgentSettings = REAL,
        mobile_node: MobileNodeSettings = MOBILE_NODE,
        interfaces: tuple[str, ...] = ("wlan0",),
        clock_error_s: float = 0.0,
    ) -> None:
        path = path or Impairment(0.01)
        self.network = Network(seed)
        self.home: Link = self.network.link("home", HOME_PREFIX, Impairment(path.delay_s), advertises=False)
        self.access = [
            self.network.link(f"access{number}", parse_address(f"2001:db8:{number}::"), path) for number in (1, 2, 3)
        ]
        self.agent = HomeAgentHost(self.network, self.home, home_agent, [SUBSCRIBER])
        self.mobile = MobileHost(self.network, mobile_node, interfaces, clock_error_s)
        self.correspondent = Correspondent(self.network, CORRESPONDENT)

    @property
    def time(self) -> float:
        return self.network.timeline.time

    @property
    def state(self) -> State:
        return self.mobile.mobile_node.machine.state

    def run(self, seconds: float) -> None:
        self.network.timeline.run_for(seconds)

    def move(self, link: Link | None, interface: str = "wlan0") -> None:
        if link is None:
            self.mobile.interfaces[interface].detach()
        else:
            self.mobile.interfaces[interface].attach(link)

    def probe(self, seconds: float, interval_s: float = 0.01) -> None:
        """Data in both directions from now on, numbered from 0."""
        until = self.time + seconds
        every(self.network, interval_s, until, lambda number: self.correspondent.sends(number, HOME_ADDRESS))
        every(
            self.network,
            interval_s,
            until,
            lambda number: self.mobile.application_sends(Datagram(number, HOME_ADDRESS, CORRESPONDENT, self.time)),
        )

    def names(self) -> list[str]:
        """The mobile node's notices above debug, in order."""
        return [notice.name for _, notice in self.mobile.notices if notice.name != "state_changed"]

    def care_of_address_at_home_agent(self) -> Address | None:
        """What the home agent's binding cache says."""
        binding = self.agent.home_agent.cache.get(HOME_ADDRESS)
        if binding is None or binding.state != BindingState.BOUND:
            return None
        return binding.care_of_address

    def care_of_address_at_mobile_node(self) -> Address | None:
        """What the mobile node's binding update list says that the home agent has acknowledged."""
        bound = self.mobile.mobile_node.machine.entry.bound
        return None if bound is None else bound.care_of_address

    def assert_agreement(self) -> None:
        """Binding cache, binding update list and the forwarding tables at both ends say the same."""
        at_agent, at_node = self.care_of_address_at_home_agent(), self.care_of_address_at_mobile_node()
        trace = f"\n{self.network.describe()}\n{self.names()}\n{self.state}"
        assert at_agent == at_node, trace
        agent_rows, node_rows = self.agent.table.rows(), self.mobile.table.rows()
        if at_node is None:
            assert self.state in (State.HOME, State.DETACHED), trace
            assert not node_rows.tunnels, trace
            assert not node_rows.forwards and not agent_rows.forwards, trace
            return
        assert self.state is State.REGISTERED, trace
        [node_tunnel], [agent_tunnel] = node_rows.tunnels, agent_rows.tunnels
        assert (node_tunnel.local, node_tunnel.peer) == (at_node, HOME_AGENT), trace
        assert (agent_tunnel.local, agent_tunnel.peer) == (HOME_AGENT, at_node), trace
        assert [row.address for row in node_rows.forwards] == [HOME_ADDRESS]
        assert [row.address for row in agent_rows.forwards] == [HOME_ADDRESS]
        assert {row.outer_source for row in node_rows.accepts} == {HOME_AGENT}
        assert {row.outer_source for row in agent_rows.accepts} == {at_node}, trace
        assert {row.address for row in node_rows.listens} == {HOME_ADDRESS, at_node}, trace
