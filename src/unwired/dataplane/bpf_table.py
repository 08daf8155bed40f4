"""The forwarding table in the kernel: rows in pinned BPF maps, programs on interfaces.

Everything is pinned under ``/sys/fs/bpf/unwired/NAME/``: without a process, packets go on being forwarded; the next
process adopts what it finds, asks for ``rows()``, and sweeps what it does not want.
"""

import ctypes
import os
import shutil
import struct
from collections.abc import Callable, Iterable
from errno import E2BIG, EBUSY, EEXIST
from pathlib import Path
from typing import Any

from unwired.core.forwarding import (
    Accept,
    Direction,
    Encapsulation,
    Forward,
    ForwardingAction,
    Listen,
    RemoveTunnel,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
)
from unwired.dataplane import devices, layout
from unwired.dataplane.attach import Attachments
from unwired.dataplane.layout import Counter, Layout
from unwired.dataplane.libbpf import BPF_ANY, BPF_NOEXIST, BpfObject, Libbpf
from unwired.dataplane.narrow import NarrowTunnels
from unwired.dataplane.table import DataplaneError, Rows, TunnelCounters, stale_rows
from unwired.wire.address import Address

BPFFS = Path("/sys/fs/bpf")
_BPFFS_MAGIC = 0xCAFE4A11
_CAPACITIES = ("forwards", "tunnels", "accepts", "listens", "tunnel_counters")
_NANOSECONDS = 1_000_000_000
_ZERO = bytes(4)


class _Writer:
    """One map and reused buffers: a row is packed and written without allocating."""

    def __init__(self, library: Libbpf, name: str, descriptor: int, key: struct.Struct, value: struct.Struct) -> None:
        self._update = library.c.bpf_map_update_elem
        self._delete = library.c.bpf_map_delete_elem
        self._name = name
        self._descriptor = ctypes.c_int(descriptor)
        self._key_buffer = ctypes.create_string_buffer(key.size)
        self._value_buffer = ctypes.create_string_buffer(value.size)
        self._key_pointer = ctypes.c_void_p(ctypes.addressof(self._key_buffer))
        self._value_pointer = ctypes.c_void_p(ctypes.addressof(self._value_buffer))
        self._flags = {flags: ctypes.c_uint64(flags) for flags in (BPF_ANY, BPF_NOEXIST)}
        self._any = self._flags[BPF_ANY]
        self._pack_key = key.pack_into
        self._pack_value = value.pack_into

    def write(self, key: tuple[object, ...], value: tuple[object, ...]) -> None:
        self._pack_key(self._key_buffer, 0, *key)
        self._pack_value(self._value_buffer, 0, *value)
        result = self._update(self._descriptor, self._key_pointer, self._value_pointer, self._any)
        if result:
            self._fail(result)

    def remove(self, *key: object) -> None:
        self._pack_key(self._key_buffer, 0, *key)
        self._delete(self._descriptor, self._key_pointer)  # only ENOENT is possible

    def _fail(self, result: int) -> None:
        reason = "it is full" if -result == E2BIG else os.strerror(-result)
        raise DataplaneError(f"the kernel refuses a row of {self._name}: {reason}")


class BpfTable:
    """The table ``name``, adopted from its pins or created. Acts in the calling thread's network namespace.

    ``capacity`` is the number of rows of each kind, of a table that is created; ``punt_per_second`` and ``punt_burst``
    limit the control packets that each processor gives to the daemon. ``shortcut`` forwards from ingress to egress
    directly, which is faster and passes by netfilter's forward hooks. ``replace`` starts empty where the pins are of
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
        self._possible_cpus = library.possible_cpus()
        writer = self._writer
        self._forwards = writer("forwards", layout.FORWARD_KEY, layout.FORWARD_ROW)
        self._tunnels = writer("tunnels", None, layout.TUNNEL_ROW)
        self._accepts = writer("accepts", layout.ACCEPT_KEY, layout.ACCEPT_ROW)
        self._listens = writer("listens", layout.LISTEN_KEY, layout.LISTEN_ROW)
        self._counted: set[int] = set()
        self._narrow = NarrowTunnels(self._read_forwards, self._forwards_into)
        self._behind: dict[int, Address | set[Address]] = {}
        self._apply: dict[type, Callable[..., None]] = {
            SetTunnel: self._set_tunnel,
            RemoveTunnel: self._remove_tunnel,
            Forward: self._set_forward,
            Unforward: self._remove_forward,
            Accept: self._set_accept,
            Unaccept: lambda a: self._accepts.remove(a.plane, a.direction, a.address, a.outer_source, 0, 0),
            Listen: lambda a: self._listens.write((a.plane, 0, a.address), (0,)),
            Unlisten: lambda a: self._listens.remove(a.plane, 0, a.address),
        }
        before = self._read_settings()
        self._settings = {
            "layout": layout.ROWS_LAYOUT,
            "plane": plane,
            "punt_interface": before["punt_interface"],
            "flags": before["flags"] & ~layout.SETTING_SHORTCUT | (layout.SETTING_SHORTCUT if shortcut else 0),
            "tunnel_mtu": before["tunnel_mtu"],
            "tunnel_interface": before["tunnel_interface"],
            "punt_interval_ns": _NANOSECONDS // punt_per_second,
            "punt_burst_ns": punt_burst * (_NANOSECONDS // punt_per_second),
        }
        self._write_settings()

    # --- rows ---------------------------------------------------------------------------------------------------------

    def apply(self, action: ForwardingAction) -> None:
        self._apply[type(action)](action)

    def rows(self) -> Rows:
        return Rows(
            self._read_tunnels(),
            self._read_forwards(),
            tuple(
                Accept(plane, Direction(direction), address, outer_source, tunnel)
                for (plane, direction, address, outer_source, *_), (tunnel, _) in self._items(
                    "accepts", layout.ACCEPT_KEY, layout.ACCEPT_ROW
                )
            ),
            tuple(
                Listen(plane, address)
                for (plane, _, address), _ in self._items("listens", layout.LISTEN_KEY, layout.LISTEN_ROW)
            ),
        )

    def tunnel_of(self, plane: int, direction: Direction, address: Address) -> Tunnel | None:
        number = self._forward_of(plane, direction, address)
        value = self._library.lookup(self._descriptors["tunnels"], struct.pack("=I", number), layout.TUNNEL_ROW.size)
        return _tunnel(number, layout.TUNNEL_ROW.packer.unpack(value)) if number and value else None

    def sweep(self, keep: Rows) -> int:
        stale = stale_rows(self.rows(), keep)
        for action in stale:
            self.apply(action)
        return len(stale)

    # --- counters -----------------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        return {counter.name.lower(): self._counter(counter) for counter in Counter}

    def tunnel_counters(self, number: int) -> TunnelCounters:
        row = layout.TUNNEL_COUNTERS
        key = struct.pack("=I", number)
        value = self._library.lookup(self._descriptors["tunnel_counters"], key, row.size)
        return TunnelCounters(*row.packer.unpack(value)) if value else TunnelCounters()

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

    def attach_tunnel_device(self, ifindex: int) -> None:
        """Encapsulate what the kernel routes into this device. To be called again after ``create_tunnel_device`` has
        set another MTU."""
        for other in self._attachments.interfaces(False):
            if other != ifindex:
                self._attachments.detach(other, False)
        self._attachments.attach(self.program("tunnel_egress"), ifindex, False, "tunnel_egress")
        mtu = devices.mtu(ifindex)
        self._settings |= {"tunnel_interface": ifindex, "tunnel_mtu": mtu}
        self._write_settings()
        self._narrow.use_device(ifindex, mtu, self._read_tunnels())

    def set_punt_device(self, ifindex: int) -> None:
        """Where control packets go."""
        self._settings["punt_interface"] = ifindex
        self._write_settings()

    def set_shortcut(self, wanted: bool) -> None:
        """Forward from ingress to egress directly, or by the kernel's forwarding."""
        flags = self._settings["flags"] & ~layout.SETTING_SHORTCUT
        self._settings["flags"] = flags | (layout.SETTING_SHORTCUT if wanted else 0)
        self._write_settings()

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
            for ifindex in self._attachments.interfaces(ingress):
                self._attachments.detach(ifindex, ingress)
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

    def _read_tunnels(self) -> tuple[Tunnel, ...]:
        return tuple(_tunnel(number, row) for (number,), row in self._items("tunnels", None, layout.TUNNEL_ROW))

    def _forward_of(self, plane: int, direction: Direction, address: Address) -> int:
        """The number of the tunnel that a forward leads into, 0 when there is none."""
        key = layout.FORWARD_KEY.packer.pack(plane, direction, address)
        value = self._library.lookup(self._descriptors["forwards"], key, layout.FORWARD_ROW.size)
        return int(layout.FORWARD_ROW.packer.unpack(value)[0]) if value else 0

    def _forwards_into(self, number: int) -> Iterable[Forward]:
        """The forwards of one tunnel, without reading a hundred thousand others."""
        behind = self._behind.get(number)
        if behind is None:  # set by the process before this one
            return [forward for forward in self._read_forwards() if forward.tunnel == number]
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
            Forward(plane, Direction(direction), address, tunnel)
            for (plane, direction, address), (tunnel, _) in self._items(
                "forwards", layout.FORWARD_KEY, layout.FORWARD_ROW
            )
        )

    def _writer(self, name: str, key: Layout | None, value: Layout) -> _Writer:
        packer = key.packer if key else struct.Struct("=I")
        return _Writer(self._library, name, self._descriptors[name], packer, value.packer)

    def _items(self, name: str, key: Layout | None, value: Layout) -> list[tuple[Any, Any]]:
        packer = key.packer if key else struct.Struct("=I")
        return [
            (packer.unpack(key_bytes), value.packer.unpack(value_bytes))
            for key_bytes, value_bytes in self._library.items(self._descriptors[name], packer.size, value.size)
        ]

    def _set_forward(self, action: Forward) -> None:
        self._use(layout.SETTING_FORWARDS[action.direction])
        self._forwards.write((action.plane, action.direction, action.address), (action.tunnel, 0))
        self._remember(action.tunnel, action.address)
        self._narrow.forward(action)

    def _remove_forward(self, action: Unforward) -> None:
        self._forwards.remove(action.plane, action.direction, action.address)
        self._narrow.unforward(action.direction, action.address)

    def _set_accept(self, action: Accept) -> None:
        self._use(layout.SETTING_ACCEPTS[action.direction])
        self._accepts.write(
            (action.plane, action.direction, action.address, action.outer_source, 0, 0), (action.tunnel, 0)
        )

    def _use(self, setting: int) -> None:
        """Switch a lookup on; it stays on."""
        if not self._settings["flags"] & setting:
            self._settings["flags"] |= setting
            self._write_settings()

    def _set_tunnel(self, action: SetTunnel) -> None:
        tunnel = action.tunnel
        if tunnel.number not in self._counted:
            zeros = bytes(layout.TUNNEL_COUNTERS.size)
            key = struct.pack("=I", tunnel.number)
            try:
                self._library.update(self._descriptors["tunnel_counters"], key, zeros, BPF_NOEXIST)
            except OSError as error:
                raise DataplaneError(f"the kernel refuses a row of tunnel_counters: {error.strerror}") from error
            self._counted.add(tunnel.number)
        self._tunnels.write(
            (tunnel.number,),
            (tunnel.local, tunnel.peer, tunnel.interface, tunnel.mtu, tunnel.encapsulation, 0, 0, 0),
        )
        self._narrow.tunnel(tunnel.number, tunnel.mtu)

    def _remove_tunnel(self, action: RemoveTunnel) -> None:
        self._tunnels.remove(action.number)
        self._library.delete(self._descriptors["tunnel_counters"], struct.pack("=I", action.number))
        self._counted.discard(action.number)
        self._narrow.tunnel(action.number, 0)
        self._behind.pop(action.number, None)

    def _read_settings(self) -> dict[str, int]:
        value = self._library.lookup(self._descriptors["settings"], _ZERO, layout.SETTINGS.size)
        fields = layout.SETTINGS.packer.unpack(value or bytes(layout.SETTINGS.size))
        return dict(zip((name for name, _ in layout.SETTINGS.fields), fields, strict=True))

    def _write_settings(self) -> None:
        self._library.update(
            self._descriptors["settings"], _ZERO, layout.SETTINGS.packer.pack(*self._settings.values())
        )


def _tunnel(number: int, row: tuple[Any, ...]) -> Tunnel:
    local, peer, interface, mtu, encapsulation, *_ = row
    return Tunnel(number, local, peer, Encapsulation(encapsulation), interface, mtu)


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
