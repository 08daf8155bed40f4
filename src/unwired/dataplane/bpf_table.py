"""The forwarding table in the kernel: rows in pinned BPF maps, programs on interfaces.

Everything is pinned under ``/sys/fs/bpf/unwired/NAME/``: without a process, packets go on being forwarded; the next
process adopts what it finds and sweeps what it does not want.
"""

import ctypes
import os
import shutil
import struct
from collections.abc import Callable, Iterable
from errno import EBUSY, EEXIST
from pathlib import Path
from typing import Any

from unwired.core.forwarding import (
    Accept,
    Direction,
    Encapsulation,
    Forward,
    ForwardingAction,
    Listen,
    ListenToMembers,
    RemoveMember,
    RemoveMobilePrefix,
    RemoveTunnel,
    SetMember,
    SetMobilePrefix,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
    UnlistenToMembers,
)
from unwired.dataplane import devices, layout
from unwired.dataplane.attach import Attachments
from unwired.dataplane.bpf_map import BpfMap
from unwired.dataplane.layout import Counter, Layout
from unwired.dataplane.libbpf import BpfObject, Libbpf
from unwired.dataplane.member_rows import MemberRows
from unwired.dataplane.narrow import NarrowTunnels
from unwired.dataplane.table import DataplaneError, Rows, TunnelCounters
from unwired.wire.address import Address

BPFFS = Path("/sys/fs/bpf")
_BPFFS_MAGIC = 0xCAFE4A11
_CAPACITIES = ("forwards", "tunnels", "accepts", "listens", "mobile_prefixes", "tunnel_counters")
_NANOSECONDS = 1_000_000_000
_ZERO = bytes(4)


class BpfTable:
    """The table ``name``, adopted from its pins or created. Acts in the calling thread's network namespace.

    ``capacity`` is the number of rows of each kind, of a table that is created; ``punt_per_second`` and ``punt_burst``
    limit the control packets that each processor gives to the daemon. ``shortcut`` forwards from ingress to egress
    directly, which is faster and passes by netfilter's forward hooks. ``clamp_mss`` lowers the maximum segment size of
    TCP connections through a tunnel to what it carries. ``replace`` starts empty where the pins are of
    another layout (after an upgrade); otherwise that is a DataplaneError, as is whatever the kernel refuses.
    """

    def __init__(
        self,
        name: str,
        object_path: Path,
        *,
        capacity: int = 131_072,
        plane: int = 0,
        punt_per_second: int = 50_000,
        punt_burst: int = 5_000,
        shortcut: bool = True,
        clamp_mss: bool = True,
        replace: bool = False,
        allow_tcx: bool = True,
    ) -> None:
        if not name or "." in name or "/" in name:
            raise DataplaneError(f"{name!r} cannot name a table: neither empty, nor with a dot or a slash")
        self.directory = BPFFS / "unwired" / name
        self._library = library = Libbpf()
        try:
            self._object = BpfObject(library, object_path)
            mount_bpffs(BPFFS)
            self.directory.mkdir(parents=True, exist_ok=True)
            self.adopted = self._prepare_maps(capacity, replace)
            self._object.load()
        except OSError as error:
            raise DataplaneError(f"cannot set up {self.directory}: {error}") from error
        self._descriptors = {name: self._object.map_descriptor(name) for name in self._object.map_names()}
        self._attachments = Attachments(library, self.directory, allow_tcx)
        cutting = self.directory / "cutting"
        cutting.mkdir(exist_ok=True)
        self._cutting = Attachments(library, cutting, allow_tcx)
        self._possible_cpus = library.possible_cpus()
        self._forwards = self._map("forwards", layout.FORWARD_KEY, layout.FORWARD_ROW)
        self._tunnels = self._map("tunnels", layout.TUNNEL_KEY, layout.TUNNEL_ROW)
        self._accepts = self._map("accepts", layout.ACCEPT_KEY, layout.ACCEPT_ROW)
        self._listens = self._map("listens", layout.LISTEN_KEY, layout.LISTEN_ROW)
        self._mobile_prefixes = self._map("mobile_prefixes", layout.MOBILE_PREFIX_KEY, layout.MOBILE_PREFIX_ROW)
        self._members = MemberRows(
            self._map("members", layout.MEMBER_KEY, layout.MEMBER_ROW),
            self._map("member_addresses", layout.MEMBER_ADDRESS_KEY, layout.MEMBER_ADDRESS_ROW),
        )
        self._tunnel_counters = self._map("tunnel_counters", layout.TUNNEL_KEY, layout.TUNNEL_COUNTERS)
        self._narrow = NarrowTunnels(self._read_forwards, self._forwards_into)
        self._behind: dict[int, Address | set[Address]] = {}
        self._knows_all = not self.adopted
        """Whether every forward that is there was set by this process."""
        listens = self._listens
        self._apply: dict[type, Callable[..., None]] = {
            SetTunnel: self._set_tunnel,
            RemoveTunnel: lambda a: self._remove_tunnel(a.number),
            Forward: self._set_forward,
            Unforward: lambda a: self._remove_forward(a.plane, a.direction, a.address),
            Accept: self._set_accept,
            Unaccept: lambda a: self._accepts.remove(*_accept_key(a)),
            SetMobilePrefix: self._set_mobile_prefix,
            RemoveMobilePrefix: lambda a: self._mobile_prefixes.remove(*_mobile_prefix_key(a)),
            Listen: lambda a: listens.write((a.plane, 0, a.address), (0,)),
            Unlisten: lambda a: listens.remove(a.plane, 0, a.address),
            ListenToMembers: lambda a: listens.write((a.plane, 0, a.locator), (layout.LISTEN_TO_MEMBERS,)),
            UnlistenToMembers: lambda a: listens.remove(a.plane, 0, a.locator),
            SetMember: self._set_member,
            RemoveMember: lambda a: self._members.remove(a.plane, a.number),
        }
        before = self._read_settings()
        self._settings = {
            "layout": layout.ROWS_LAYOUT,
            "plane": plane,
            "punt_interface": before["punt_interface"],
            "flags": before["flags"],
            "tunnel_mtu": before["tunnel_mtu"],
            "tunnel_interface": before["tunnel_interface"],
            "cutting_interface": before["cutting_interface"],
            "unused": 0,
            "punt_interval_ns": _NANOSECONDS // punt_per_second,
            "punt_burst_ns": punt_burst * (_NANOSECONDS // punt_per_second),
        }
        self._switch(layout.SETTING_SHORTCUT, shortcut)
        self._switch(layout.SETTING_CLAMP_MSS, clamp_mss)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def apply(self, action: ForwardingAction) -> None:
        self._apply[type(action)](action)

    def rows(self) -> Rows:
        return Rows(
            tuple(_tunnel(number, row) for (number,), row in self._tunnels.rows()),
            self._read_forwards(),
            tuple(
                Accept(plane, Direction(direction), address, outer_source, tunnel, int.from_bytes(port))
                for (plane, direction, address, outer_source, port, *_), (tunnel, _) in self._accepts.rows()
            ),
            tuple(
                ListenToMembers(plane, address) if flags & layout.LISTEN_TO_MEMBERS else Listen(plane, address)
                for (plane, _, address), (flags,) in self._listens.rows()
            ),
            self._members.rows(),
            tuple(
                SetMobilePrefix(plane, prefix, length - layout.PLANE_BITS, home_address)
                for (length, plane, prefix), (home_address,) in self._mobile_prefixes.rows()
            ),
        )

    def tunnel_of(self, plane: int, direction: Direction, address: Address) -> Tunnel | None:
        number = self._forward_of(plane, direction, address)
        row = self._tunnels.find(number)
        return _tunnel(number, row) if number and row else None

    def begin_adoption(self) -> None:
        for rows in (
            self._forwards,
            self._accepts,
            self._listens,
            self._mobile_prefixes,
            self._members,
            self._tunnels,
        ):
            rows.begin_adoption()

    def sweep(self) -> int:
        """The users of a tunnel go before the tunnel."""
        self._knows_all = True
        swept = self._members.sweep()
        for rows, remove in (
            (self._forwards, self._remove_forward),
            (self._accepts, self._accepts.remove),
            (self._listens, self._listens.remove),
            (self._mobile_prefixes, self._mobile_prefixes.remove),
            (self._tunnels, self._remove_tunnel),
        ):
            unclaimed = rows.unclaimed()
            for key in unclaimed:
                remove(*key)
            swept += len(unclaimed)
        return swept

    # --- counters -----------------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        return {counter.name.lower(): self._counter(counter) for counter in Counter}

    def tunnel_counters(self, number: int) -> TunnelCounters:
        return TunnelCounters(*(self._tunnel_counters.find(number) or ()))

    def _counter(self, counter: Counter) -> int:
        value = self._library.lookup(self._descriptors["counters"], struct.pack("=I", counter), 8 * self._possible_cpus)
        return sum(struct.unpack(f"={self._possible_cpus}Q", value)) if value else 0

    # --- programs -----------------------------------------------------------------------------------------------------

    def attach_uplink(self, ifindex: int) -> None:
        """Watch an interface's ingress. Again: the programs of this process replace what is attached, seamlessly."""
        name = "uplink_raw" if devices.is_raw(ifindex) else "uplink_ethernet"
        self._attachments.attach(self.program(name), ifindex, True, name)

    def detach_uplink(self, ifindex: int) -> None:
        self._attachments.detach(ifindex, True)

    def uplinks(self) -> tuple[int, ...]:
        """The numbers of the interfaces that are watched, by whichever process."""
        return self._attachments.interfaces(True)

    def problems(self, uplinks: Iterable[int]) -> list[str]:
        """What of it is not in place any more, a sentence each; ``uplinks`` are those that should be watched."""
        try:
            found = [
                f"the program at the ingress of interface number {ifindex} is gone"
                for ifindex in uplinks
                if not self._attachments.is_attached(ifindex, True)
            ]
            if not self._attachments.is_attached(self._settings["tunnel_interface"], False):
                found.append("the program at the tunnel device is gone")
            if not any(self._cutting.is_attached(ifindex, True) for ifindex in self._cutting.interfaces(True)):
                found.append("the program beside the tunnel device is gone: what is offloaded may be lost")
        except OSError as error:
            found = [f"the programs can't be looked at: {error}"]
        lost = [name for name in self._object.map_names() if not (self.directory / name).exists()]
        if lost:
            found.append(f"{self.directory} has lost {', '.join(lost)}: a restart would interrupt all tunnels")
        return found

    def attach_tunnel_device(self, ifindex: int) -> None:
        """Encapsulate what the kernel routes into this device. To be called again after ``create_tunnel_device`` has
        set another MTU."""
        cutting, segments = devices.cutting_pair(ifindex)
        for attachments, device, ingress, name in (
            (self._attachments, ifindex, False, "tunnel_egress"),
            (self._cutting, segments, True, "cut_ingress"),
        ):
            for other in attachments.interfaces(ingress):
                if other != device:
                    attachments.detach(other, ingress)
            attachments.attach(self.program(name), device, ingress, name)
        mtu = devices.mtu(ifindex)
        self._settings |= {
            "tunnel_interface": ifindex,
            "tunnel_mtu": mtu,
            "cutting_interface": cutting,
        }
        self._write_settings()
        narrow = {number: mtu for (number,), (_, _, _, mtu, *_) in self._tunnels.rows() if mtu}
        self._narrow.use_device(ifindex, mtu, narrow)

    def set_punt_device(self, ifindex: int) -> None:
        """Where control packets go."""
        self._settings["punt_interface"] = ifindex
        self._write_settings()

    def set_shortcut(self, wanted: bool) -> None:
        """Forward from ingress to egress directly, or by the kernel's forwarding."""
        self._switch(layout.SETTING_SHORTCUT, wanted)

    def set_clamp_mss(self, wanted: bool) -> None:
        """Lower the maximum segment size of TCP connections through a tunnel to what it carries."""
        self._switch(layout.SETTING_CLAMP_MSS, wanted)

    def program(self, name: str) -> int:
        """The file descriptor of a program of this process."""
        return self._object.program_descriptor(name)

    # --- life ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of it; what is pinned goes on forwarding."""
        self._object.close()
        self._narrow.close()

    def remove(self) -> None:
        """Detach all programs and remove all rows."""
        for ingress in (True, False):
            for attachments in (self._attachments, self._cutting):
                for ifindex in attachments.interfaces(ingress):
                    attachments.detach(ifindex, ingress)
        self.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _prepare_maps(self, capacity: int, replace: bool) -> bool:
        """Set capacities and pins; whether there are rows to adopt."""
        for name in _CAPACITIES:
            self._object.set_capacity(name, capacity)
        problems = self._adopt_pins()
        if problems and not replace:
            raise DataplaneError(
                f"the table pinned in {self.directory} was made by another version ({'; '.join(problems)}): "
                "it has to be replaced, which interrupts its tunnels until they are registered again"
            )
        if problems:
            shutil.rmtree(self.directory)
            self.directory.mkdir(parents=True)
        adopted = (self.directory / "settings").exists()
        for name in self._object.map_names():
            self._object.set_pin(name, self.directory / name)
        return adopted

    def _adopt_pins(self) -> list[str]:
        """Take over the capacities of the maps that are pinned; why they cannot be used."""
        problems = []
        for name in self._object.map_names():
            descriptor = self._library.open_pin(self.directory / name)
            if descriptor is None:
                continue
            try:
                there, here = self._library.map_shape(descriptor), self._object.map_shape(name)
                if there.type != here.type:
                    problems.append(f"{name}: a map of type {there.type}, here {here.type}")
                elif (there.key_size, there.value_size) != (here.key_size, here.value_size):
                    problems.append(
                        f"{name}: key and row of {there.key_size} and {there.value_size} bytes, "
                        f"here {here.key_size} and {here.value_size}"
                    )
                elif name == "settings":
                    value = self._library.lookup(descriptor, _ZERO, here.value_size)
                    version = layout.SETTINGS.packer.unpack(value)[0] if value else 0
                    if version not in (0, layout.ROWS_LAYOUT):  # 0: made, but its maker ended before writing it
                        problems.append(f"rows of layout {version}, here {layout.ROWS_LAYOUT}")
                else:
                    self._object.set_capacity(name, there.capacity)
            finally:
                os.close(descriptor)
        return problems

    def _forward_of(self, plane: int, direction: Direction, address: Address) -> int:
        """The number of the tunnel that a forward leads into, 0 when there is none."""
        row = self._forwards.find(plane, direction, address)
        return int(row[0]) if row else 0

    def _forwards_into(self, number: int) -> Iterable[Forward]:
        """The forwards of one tunnel, without reading a hundred thousand others."""
        behind = self._behind.get(number)
        if behind is None:
            there = () if self._knows_all else self._read_forwards()
            return [forward for forward in there if forward.tunnel == number]
        plane = self._settings["plane"]
        return [
            Forward(plane, direction, address, number)
            for address in (behind if isinstance(behind, set) else (behind,))
            for direction in Direction
            if self._forward_of(plane, direction, address) == number
        ]

    def _remember(self, number: int, address: Address) -> None:
        behind = self._behind.setdefault(number, address)
        if isinstance(behind, set):
            behind.add(address)
        elif behind != address:
            self._behind[number] = {behind, address}

    def _read_forwards(self) -> tuple[Forward, ...]:
        return tuple(
            Forward(plane, Direction(direction), address, tunnel, member)
            for (plane, direction, address), (tunnel, member) in self._forwards.rows()
        )

    def _map(self, name: str, key: Layout, value: Layout) -> BpfMap:
        return BpfMap(self._library, name, self._descriptors[name], key, value)

    def _set_forward(self, action: Forward) -> None:
        self._use(layout.SETTING_FORWARDS[action.direction])
        self._forwards.write((action.plane, action.direction, action.address), (action.tunnel, action.member))
        self._remember(action.tunnel, action.address)
        self._narrow.forward(action)

    def _remove_forward(self, plane: int, direction: Direction, address: Address) -> None:
        self._forwards.remove(plane, direction, address)
        self._narrow.unforward(direction, address)

    def _set_accept(self, action: Accept) -> None:
        self._use(layout.SETTING_ACCEPTS[action.direction])
        self._accepts.write(_accept_key(action), (action.tunnel, 0))

    def _set_mobile_prefix(self, action: SetMobilePrefix) -> None:
        self._mobile_prefixes.write(_mobile_prefix_key(action), (action.home_address,))
        self._use(layout.SETTING_MOBILE_PREFIXES)

    def _set_member(self, action: SetMember) -> None:
        self._members.set(action)
        self._use(layout.SETTING_MEMBERS)

    def _use(self, setting: int) -> None:
        """Switch a lookup on; it stays on."""
        if not self._settings["flags"] & setting:
            self._switch(setting, True)

    def _switch(self, setting: int, wanted: bool) -> None:
        self._settings["flags"] = self._settings["flags"] & ~setting | (setting if wanted else 0)
        self._write_settings()

    def _set_tunnel(self, action: SetTunnel) -> None:
        tunnel = action.tunnel
        self._tunnels.write(
            (tunnel.number,),
            (
                tunnel.local,
                tunnel.peer,
                tunnel.interface,
                tunnel.mtu,
                tunnel.flow_label,
                0,
                tunnel.encapsulation,
                tunnel.local_port.to_bytes(2),
                tunnel.peer_port.to_bytes(2),
                0,
            ),
        )
        self._narrow.tunnel(tunnel.number, tunnel.mtu)

    def _remove_tunnel(self, number: int) -> None:
        self._tunnels.remove(number)
        self._tunnel_counters.remove(number)
        self._narrow.tunnel(number, 0)
        self._behind.pop(number, None)

    def _read_settings(self) -> dict[str, int]:
        value = self._library.lookup(self._descriptors["settings"], _ZERO, layout.SETTINGS.size)
        fields = layout.SETTINGS.packer.unpack(value or bytes(layout.SETTINGS.size))
        return dict(zip((name for name, _ in layout.SETTINGS.fields), fields, strict=True))

    def _write_settings(self) -> None:
        self._library.update(
            self._descriptors["settings"], _ZERO, layout.SETTINGS.packer.pack(*self._settings.values())
        )


def _tunnel(number: int, row: tuple[Any, ...]) -> Tunnel:
    local, peer, interface, mtu, flow_label, _, encapsulation, local_port, peer_port, _ = row
    ports = int.from_bytes(local_port), int.from_bytes(peer_port)
    return Tunnel(number, local, peer, Encapsulation(encapsulation), interface, mtu, flow_label, *ports)


def _accept_key(action: Accept | Unaccept) -> tuple[object, ...]:
    port = action.outer_port.to_bytes(2)
    return action.plane, action.direction, action.address, action.outer_source, port, 0, 0


def _mobile_prefix_key(action: SetMobilePrefix | RemoveMobilePrefix) -> tuple[object, ...]:
    return layout.PLANE_BITS + action.length, action.plane, action.prefix


def mount_bpffs(directory: Path) -> None:
    """Mount the BPF file system there unless it is. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if _file_system(libc, directory) == _BPFFS_MAGIC:
        return
    if libc.mount(b"bpf", os.fsencode(directory), b"bpf", 0, None) and ctypes.get_errno() not in (EBUSY, EEXIST):
        number = ctypes.get_errno()
        raise OSError(number, f"mount the BPF file system at {directory}: {os.strerror(number)}")


def _file_system(libc: ctypes.CDLL, directory: Path) -> int:
    """The magic number of the file system there: the first word of struct statfs."""
    buffer = (ctypes.c_long * 64)()
    if libc.statfs(os.fsencode(directory), buffer):
        number = ctypes.get_errno()
        raise OSError(number, f"{directory}: {os.strerror(number)}")
    return buffer[0] & 0xFFFFFFFF
