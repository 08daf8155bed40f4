"""Whatever happens to a home agent set, in the end all members have the newest binding, and none that was acknowledged
is lost; also over the mesh, whose streams keep their order but break."""

from collections import Counter
from typing import Any

import pytest
from home_agent_driver import DUAL_STACK, HOME_AGENT_IPV4
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from set_carrier import CarrierMaker, MemoryCarrier, MeshCarrier
from set_world import HOMES, Site, World, address_of, care_of, care_of_ipv4

from unwired.core.binding_cache import Binding, is_binding_key
from unwired.core.binding_states import State
from unwired.core.replica import Replica, memory_s
from unwired.core.set_peer import MEMBER_TUNNEL
from unwired.core.settings import Durability
from unwired.wire.address import is_ipv4, parse_address
from unwired.wire.rfc5555 import Ipv4HomeAddress
from unwired.wire.rfc6275 import LIFETIME_UNIT_S

MEMBERS = 3
CLOCKS_DIFFER_S = 14.0
ASK = Ipv4HomeAddress()
ASK_PREFIX = Ipv4HomeAddress(prefix_length=24, request_prefix=True)
NAME = Ipv4HomeAddress(parse_address("203.0.113.130"))
"""An address that several mobile nodes may ask for, at members that do not reach each other."""
NATS = {"nat": (parse_address("192.0.2.200"), 40_000), "nat again": (parse_address("192.0.2.200"), 40_001)}
IPV4 = DUAL_STACK | {
    # So few that they run out and are taken back.
    "pool_ipv4": ((parse_address("203.0.113.128"), 96 + 29),),
    "mobile_prefix_pool_ipv4": ((parse_address("10.64.0.0"), 96 + 22),),
}
numbers = st.integers(1, MEMBERS)
event = st.one_of(
    st.tuples(
        st.just("update"),
        st.sampled_from(HOMES),
        numbers,
        numbers,
        st.integers(1, 4),
        st.sampled_from((100, 100, 100, 60, 3, 0)),
        st.sampled_from((0.0, 0.0, 0.0, 0.3, -0.3, 5.0)),
        st.sampled_from(("ipv6", "ipv6", "ipv4", "nat", "nat again")),
        st.sampled_from(((), (ASK,), (ASK, ASK_PREFIX), (NAME,))),
    ),
    st.tuples(st.just("run"), st.sampled_from((0.005, 0.015, 0.1, 1.0, 5.0, 30.0))),
    st.tuples(st.just("split"), numbers),
    st.tuples(st.just("cut"), numbers, numbers),
    st.tuples(st.just("heal")),
    st.tuples(st.just("kill"), numbers),
    st.tuples(st.just("start")),
    st.tuples(st.just("destroy"), numbers),
    st.tuples(st.just("disk"), numbers),
    st.tuples(st.just("replay"), st.integers(0, 30), numbers),
    st.tuples(st.just("clock"), numbers, st.sampled_from((-3.0, 0.0, 3.0))),
)


class Story:
    """A world and what happens in it."""

    def __init__(self, carrier: CarrierMaker, durability: Durability, seed: int) -> None:
        self.world = World(MEMBERS, durability, carrier, seed, hello_interval_s=1.0, **IPV4)
        self.world.reordering_s = 0.4 if seed % 2 else 0.0
        self.destroyed = durability == Durability.LOCAL
        self.packets: list[Any] = []

    def tell(self, what: str, *how: Any) -> None:
        getattr(self, what)(*how)

    def update(
        self,
        home: bytes,
        to: int,
        at: int,
        place: int,
        lifetime_units: int,
        ago_s: float,
        access: str,
        extra: tuple[Ipv4HomeAddress, ...],
    ) -> None:
        address = care_of(place) if access == "ipv6" else care_of_ipv4(place)
        packet = self.world.packet(home, lifetime_units, to, address, ago_s, nat=NATS.get(access), extra=extra)
        self.packets.append(packet)
        self.world.deliver(packet, at)

    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    def split(self, alone: int) -> None:
        self.world.partition((alone,), tuple(n for n in range(1, MEMBERS + 1) if n != alone))

    def cut(self, one: int, other: int) -> None:
        if one != other:
            self.world.cut((one, other))

    def heal(self) -> None:
        self.world.heal()

    def kill(self, number: int) -> None:
        if self.world.site(number).engine is not None:
            self.world.site(number).kill()

    def start(self) -> None:
        for site in self.world.sites:
            if site.engine is None:
                site.start()

    def destroy(self, number: int) -> None:
        """One machine at most: that is what one-peer promises to survive."""
        if not self.destroyed:
            self.destroyed = True
            self.world.site(number).destroy()

    def disk(self, number: int) -> None:
        site = self.world.site(number)
        site.writes = not site.writes
        if site.writes and site.engine is not None:
            site.write()

    def clock(self, number: int, offset_s: float) -> None:
        """Members' clocks agree within the authentication's window, as they must for that anyway."""
        self.world.site(number).offset_s = offset_s

    def replay(self, index: int, at: int) -> None:
        if index < len(self.packets):
            self.world.deliver(self.packets[index], at)

    def end(self) -> None:
        """All is well again, for a while."""
        for site in self.world.sites:
            site.writes = True
        self.start()
        for site in self.world.sites:
            site.write()
        self.heal()
        self.run(60.0)

    def agree(self) -> bool:
        for home in HOMES:
            records = self.world.records(home)
            if len({record and (record.order, record.timestamp) for record in records}) != 1:
                return False
            ends = [record.ends_at for record in records if record is not None]
            if ends and max(ends) - min(ends) > CLOCKS_DIFFER_S:
                return False
        return True

    def check(self) -> None:
        world = self.world
        if not self.agree():
            self.run(CLOCKS_DIFFER_S)  # what ends now does so a little sooner here and later there
        assert self.agree(), "members differ"
        for home in HOMES:
            newest = world.records(home)[0]
            for answer in world.answers(home):
                acknowledged = answer.record
                if answer.status > 1 or acknowledged is None:
                    continue
                if newest is not None:
                    assert newest.order >= acknowledged.order, "an acknowledged binding is lost"
                    assert newest.order > acknowledged.order or newest.care_of_address == acknowledged.care_of_address
                else:
                    made_at = acknowledged.ends_at - acknowledged.lifetime_units * LIFETIME_UNIT_S
                    over_at = acknowledged.ends_at if acknowledged.deleted else made_at + memory_s(world.settings_of(1))
                    assert over_at <= world.wall + CLOCKS_DIFFER_S, "an acknowledged binding is forgotten"
            for site in world.sites:
                binding = site.binding(home)
                if binding is None or binding.state != State.BOUND:
                    assert site.route(home) is None
                    continue
                start = HOME_AGENT_IPV4 if is_ipv4(binding.care_of_address) else address_of(binding.primary)
                assert site.route(home) == (start, binding.care_of_address)
                assert site.member_of(home) == (0 if binding.primary == site.number else binding.primary)
        for site in world.sites:
            cache, store = site.running.cache, site.running.binding_store
            bound = [binding for binding in cache if binding.state == State.BOUND]
            assert cache.in_use == len(bound)
            assert +cache.primaries == Counter(binding.primary for binding in bound)
            again = Replica(site.running.settings, site.running.roster, cache, site.now)
            assert store is not None
            for binding in cache:
                again.count(binding)
            assert again.digests() == store.digests()
            assert sum(is_binding_key(key) for key in site.journal) == len(cache)
            self.check_ipv4(site, bound)

    def check_ipv4(self, site: Site, bound: list[Binding]) -> None:
        """Of those that name an address or a prefix the one with the greatest home address has the rows, and nobody
        else has any."""
        named: dict[Any, list[Binding]] = {}
        for binding in bound:
            for block in (binding.home_address_ipv4, binding.mobile_prefix):
                if block is not None:
                    named.setdefault(block, []).append(binding)
        holders = {block: max(claims, key=lambda one: one.home_address) for block, claims in named.items()}
        rows = site.table.rows()
        tunnels = {row.address: row.tunnel for row in rows.forwards if is_ipv4(row.address)}
        assert tunnels == {block: one.tunnel for block, one in holders.items() if not isinstance(block, tuple)}
        accepts = {(row.address, row.outer_source, row.tunnel) for row in rows.accepts if is_ipv4(row.address)}
        assert accepts == {(address, holders[address].care_of_address, tunnel) for address, tunnel in tunnels.items()}
        prefixes = {(row.prefix, row.length): row.home_address for row in rows.mobile_prefixes}
        assert prefixes == {block: one.home_address for block, one in holders.items() if isinstance(block, tuple)}
        peers = {row.number: (row.peer, row.peer_port) for row in rows.tunnels if not row.number & MEMBER_TUNNEL}
        assert peers == {one.tunnel: (one.care_of_address, one.care_of_port) for one in bound}


@pytest.mark.parametrize("carrier", [MemoryCarrier, MeshCarrier])
@pytest.mark.parametrize("durability", [Durability.ONE_PEER, Durability.QUORUM, Durability.LOCAL])
def test_all_members_converge_and_keep_what_was_acknowledged(carrier: CarrierMaker, durability: Durability) -> None:
    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 1000), events=st.lists(event, max_size=30))
    def tell(seed: int, events: list[tuple[Any, ...]]) -> None:
        story = Story(carrier, durability, seed)
        for what in events:
            story.tell(*what)
        story.end()
        story.check()

    tell()
