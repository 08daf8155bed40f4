"""The mesh as a carrier, over real TLS on the loopback."""

from collections.abc import Callable

import pytest
from carrier_conformance import CarrierConformance
from participant import settings_of

from unwired.core.settings import Member
from unwired.plane.carrier import Carrier
from unwired.plane.certificates import Credentials
from unwired.plane.mesh import MeshCarrier


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
