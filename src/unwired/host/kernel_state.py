"""Keeps the kernel's configuration as the daemon wants it: makes, unmakes, puts back what others removed, and gives
everything back at the end.

What an earlier daemon of this name left behind is adopted: asked for again it is kept as it is, and what nobody asked
for again goes at ``sweep``.
"""

import errno
import socket
from collections.abc import Iterable

from unwired.host import netlink
from unwired.host.kernel_objects import NTF_PROXY, AddressLabel, KernelObject, NetlinkObject, Sysctl, of_message
from unwired.host.ledger import Ledger
from unwired.host.netlink import Message, Netlink

_DELETIONS = (netlink.RTM_DELADDR, netlink.RTM_DELROUTE, netlink.RTM_DELRULE, netlink.RTM_DELNEIGH)
_ALREADY_GONE = (errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENXIO)


class KernelState:
    """``lost`` holds what somebody else removed since ``put_back`` was called last."""

    def __init__(self, kernel: Netlink, ledger: Ledger) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._wanted: set[KernelObject] = set()
        self._suspects: set[KernelObject] = set()
        self.lost: set[KernelObject] = set()

    def make(self, wanted: KernelObject) -> None:
        """Raises OSError when the kernel refuses."""
        if isinstance(wanted, Sysctl):
            self._set(wanted)
            return
        ours = wanted in self._ledger.entries
        self._ledger.add(wanted)
        try:
            wanted.make(self._kernel)
        except OSError as error:
            if error.errno == errno.EEXIST:
                if not ours:
                    self._ledger.remove(wanted)  # the host had it before us: used, and left alone at the end
                    return
            else:
                if not ours:
                    self._ledger.remove(wanted)
                raise OSError(error.errno, f"{wanted}: {error.strerror}") from None
        self._wanted.add(wanted)

    def unmake(self, unwanted: KernelObject) -> None:
        """Undo ``make``; what is not ours stays. Never fails: what can't be removed is gone with its interface."""
        self._wanted.discard(unwanted)
        self.lost.discard(unwanted)
        if unwanted not in self._ledger.entries:
            return
        if isinstance(unwanted, Sysctl):
            self._reset(unwanted)
        else:
            self._remove(unwanted)
        self._ledger.remove(unwanted)

    def unmake_where(self, unwanted: Iterable[KernelObject]) -> None:
        for entry in list(unwanted):
            self.unmake(entry)

    def wanted(self) -> tuple[KernelObject, ...]:
        return tuple(self._wanted)

    def before(self, setting: Sysctl) -> str:
        """The value that a setting has, or had before we changed it to this one."""
        return self._ledger.entries.get(setting) or setting.read()

    def sweep(self) -> list[KernelObject]:
        """Remove what an earlier daemon made and this one has not asked for; what it was."""
        stale = [entry for entry in self._ledger.entries if entry not in self._wanted]
        for entry in reversed(stale):
            self.unmake(entry)
        return stale

    def give_back(self) -> None:
        """Remove everything that is ours, last made first."""
        for entry in reversed(list(self._ledger.entries)):
            self.unmake(entry)

    def close(self) -> None:
        self._ledger.close()

    def observe(self, message: Message) -> None:
        """Take notice of a netlink change: a removal of something wanted is remembered in ``lost``. What we removed
        ourselves and made again since then is not lost."""
        header = message["header"]
        if header["type"] in _DELETIONS and header["pid"] != self._kernel.port and self._wanted:
            gone = of_message(message)
            if gone is not None and gone in self._wanted:
                self.lost.add(gone)

    def adopt(self) -> None:
        """Nothing is asked for any more, but all stays: the next ``sweep`` removes what is not asked for again."""
        self._wanted.clear()
        self.lost.clear()

    def suspect_interface(self, interface: int) -> None:
        """An interface changed: when it was down, its routes went without a word."""
        self._suspects.update(entry for entry in self._wanted if getattr(entry, "interface", None) == interface)

    def suspect_all(self) -> None:
        """Changes were missed: anything may be gone."""
        self._suspects.update(self._wanted)

    @property
    def suspicious(self) -> bool:
        """Whether ``look`` has anything to do."""
        return bool(self._suspects)

    def look(self) -> None:
        """Find out which suspects are gone."""
        suspects = {entry for entry in self._suspects if not isinstance(entry, Sysctl | AddressLabel)}
        self._suspects.clear()
        if suspects:
            self.lost |= (suspects & self._wanted) - self._there()

    def _there(self) -> set[KernelObject]:
        messages: list[Message] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            messages += self._kernel.dump(netlink.RTM_GETADDR, family)
            messages += self._kernel.dump(netlink.RTM_GETROUTE, family)
            messages += self._kernel.dump(netlink.RTM_GETRULE, family)
            messages += self._kernel.dump(netlink.RTM_GETNEIGH, family, flags=NTF_PROXY)
        return {entry for message in messages if (entry := of_message(message)) is not None}

    def put_back(self) -> list[KernelObject]:
        """Make again what was lost, as far as that works now (not on a link that is down); what was put back."""
        back: list[KernelObject] = []
        lost, self.lost = self.lost, set()
        for entry in lost:
            if isinstance(entry, Sysctl):
                continue
            try:
                entry.make(self._kernel)
            except OSError:
                continue  # already there, or its link is down: tried again when the link comes up
            back.append(entry)
        return back

    def _set(self, wanted: Sysctl) -> None:
        if wanted not in self._ledger.entries:
            before = wanted.read()
            if before == wanted.value:
                return
            self._ledger.add(wanted, before)
        wanted.write(wanted.value)
        self._wanted.add(wanted)

    def _reset(self, unwanted: Sysctl) -> None:
        before = self._ledger.entries[unwanted]
        try:
            # Somebody who changed it while we ran meant it.
            if before is not None and unwanted.read() == unwanted.value:
                unwanted.write(before)
        except OSError:
            pass  # gone with its interface

    def _remove(self, unwanted: NetlinkObject) -> None:
        try:
            unwanted.unmake(self._kernel)
        except OSError as error:
            if error.errno not in _ALREADY_GONE:
                raise
