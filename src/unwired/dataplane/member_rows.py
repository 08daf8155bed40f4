"""The rows of the other home agents of a set: one by number, which says whether it is up, and one for each of its two
addresses."""

from collections.abc import Collection
from dataclasses import replace

from unwired.core.forwarding import SetMember
from unwired.dataplane.bpf_map import BpfMap
from unwired.dataplane.layout import MemberAddressKind
from unwired.wire.address import UNSPECIFIED, Address


class MemberRows:
    """Remembers what it has written, so that it is one write when a member dies. Raises DataplaneError."""

    def __init__(self, members: BpfMap, addresses: BpfMap) -> None:
        self._members = members
        self._addresses = addresses
        self._known: dict[tuple[int, int], SetMember] = {}

    def set(self, member: SetMember) -> None:
        key = (member.plane, member.number)
        before = self._known.get(key)
        self._members.write(key, (member.tunnel, member.up))
        if before is None or replace(before, up=member.up) != member:
            for kind, address in _addresses(member):
                self._addresses.write((member.plane, kind, address), (member.number, member.tunnel))
            if before is not None:
                self._forget_addresses(before, _addresses(member))
        self._known[key] = member

    def remove(self, plane: int, number: int) -> None:
        self._members.remove(plane, number)
        before = self._known.pop((plane, number), None)
        if before is not None:
            self._forget_addresses(before, ())

    def rows(self) -> tuple[SetMember, ...]:
        addresses = {(plane, row[0], kind): address for (plane, kind, address), row in self._addresses.rows()}
        return tuple(
            SetMember(
                plane,
                number,
                addresses.get((plane, number, MemberAddressKind.HOME_AGENT_ADDRESS), UNSPECIFIED),
                addresses.get((plane, number, MemberAddressKind.LOCATOR), UNSPECIFIED),
                tunnel,
                bool(up),
            )
            for (plane, number), (tunnel, up) in self._members.rows()
        )

    def begin_adoption(self) -> None:
        self._known.clear()
        self._members.begin_adoption()
        self._addresses.begin_adoption()

    def sweep(self) -> int:
        """The number of members removed."""
        for key in self._addresses.unclaimed():
            self._addresses.remove(*key)
        unclaimed = self._members.unclaimed()
        for key in unclaimed:
            self._members.remove(*key)
        return len(unclaimed)

    def _forget_addresses(self, member: SetMember, but: Collection[tuple[MemberAddressKind, Address]]) -> None:
        for kind, address in _addresses(member):
            if (kind, address) not in but:
                self._addresses.remove(member.plane, kind, address)


def _addresses(member: SetMember) -> tuple[tuple[MemberAddressKind, Address], ...]:
    return (MemberAddressKind.HOME_AGENT_ADDRESS, member.address), (MemberAddressKind.LOCATOR, member.locator)
