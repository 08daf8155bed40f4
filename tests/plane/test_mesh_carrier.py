"""The mesh as a carrier, over real TLS on the loopback."""

from collections.abc import Callable

import pytest
from carrier_conformance import CarrierConformance
from participant import settings_of

from unwired.bench.namespaces import Namespace
from unwired.core.settings import Member
from unwired.plane.carrier import Carrier
from unwired.plane.certificates import Credentials
from unwired.plane.mesh import MeshCarrier
from unwired.wire.address import format_address, parse_address


class MeshWorld:
    def __init__(self, members: tuple[Member, ...], credentials: Callable[[Member], Credentials]) -> None:
        self.members = members
        self._credentials = credentials

    def carrier(self, member: int) -> MeshCarrier:
        return MeshCarrier(settings_of(member, self.members), self._credentials(self.members[member - 1]))

    async def interrupt(self, one: Carrier, member: int) -> None:
        assert isinstance(one, MeshCarrier)
        stream = one._streams.get(member)
        if stream is not None:
            stream.abort()


class TestMesh(CarrierConformance):
    @pytest.fixture
    def world(
        self, members: Callable[[int], tuple[Member, ...]], credentials: Callable[[Member], Credentials]
    ) -> MeshWorld:
        return MeshWorld(members(3), credentials)


@pytest.mark.root
def test_between_ipv6_locators(credentials: Callable[[Member], Credentials]) -> None:
    """The same in a namespace of its own, where addresses can be added."""
    members = tuple(
        Member(f"six{place}", parse_address(f"2001:db8::{place}"), parse_address(f"2001:db8:f::{place}"))
        for place in (1, 2, 3)
    )
    with Namespace() as namespace:
        namespace.ip(*(f"addr add {format_address(member.locator)}/128 dev lo nodad" for member in members))
        TestMesh().test_a_late_joiner_gets_all_before_it_is_current(MeshWorld(members, credentials))
