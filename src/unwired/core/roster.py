"""Who the home agents are that a binding may name as its primary, by member number."""

from dataclasses import dataclass

from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import UNSPECIFIED, Address


@dataclass(frozen=True, slots=True)
class Roster:
    """Each tuple is indexed by member number. ``own`` is ourselves; without a set it is 0, and there is nobody else."""

    own: int
    names: tuple[str, ...]
    addresses: tuple[Address, ...]
    locators: tuple[Address, ...]
    """Of ourselves UNSPECIFIED when there is no set: the primary of a binding is then left open."""

    @property
    def is_set(self) -> bool:
        return self.own != 0

    @property
    def numbers(self) -> range:
        """All members, ourselves included; none without a set."""
        return range(1, len(self.addresses))


def roster(settings: HomeAgentSettings) -> Roster:
    """The home agents of these settings."""
    members = settings.home_agent_set
    if members is None:
        return Roster(0, ("",), (settings.address,), (UNSPECIFIED,))
    return Roster(
        members.own,
        ("", *(member.name for member in members.members)),
        (UNSPECIFIED, *(member.address for member in members.members)),
        (UNSPECIFIED, *(member.locator for member in members.members)),
    )
