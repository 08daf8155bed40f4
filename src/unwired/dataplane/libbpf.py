"""libbpf through ctypes: the few calls that loading, pinning, attaching and testing need.

Arguments are file descriptors and ctypes buffers; failures are OSError with the kernel's number, or DataplaneError with
libbpf's own words where it has any.
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path

from unwired.dataplane.table import DataplaneError

BPF_ANY = 0
TCX_INGRESS = 46
TCX_EGRESS = 47
_BATCH = 16_384
"""Rows read at once; more than any bucket of a hash can hold."""

_Printer = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)


class _MapInfo(ctypes.Structure):
    _fields_ = [
        ("type", c_uint32),
        ("id", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("name", ctypes.c_char * 16),
        ("rest", ctypes.c_uint8 * 48),
    ]


class _LinkInfo(ctypes.Structure):
    _fields_ = [
        ("type", c_uint32),
        ("id", c_uint32),
        ("prog_id", c_uint32),
        ("padding", c_uint32),
        ("tcx_ifindex", c_uint32),
        ("tcx_attach_type", c_uint32),
        ("rest", ctypes.c_uint8 * 64),
    ]


class _TestRun(ctypes.Structure):
    """struct bpf_test_run_opts."""

    _fields_ = [
        ("sz", c_size_t),
        ("data_in", c_void_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    ]


@dataclass(frozen=True, slots=True)
class MapShape:
    """What must agree between a pinned map and the object that wants to use it."""

    type: int
    key_size: int
    value_size: int
    capacity: int


class Libbpf:
    """The library, loaded once. What libbpf prints is kept, so that an error can quote it."""

    def __init__(self) -> None:
        try:
            self.c = ctypes.CDLL("libbpf.so.1")
        except OSError as error:
            raise DataplaneError(f"libbpf.so.1 cannot be loaded (Debian: apt install libbpf1): {error}") from error
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._said: list[str] = []
        self._printer = _Printer(self._hear)
        self.c.libbpf_set_print(self._printer)
        for name in (
            "bpf_object__open_file",
            "bpf_object__find_map_by_name",
            "bpf_object__find_program_by_name",
            "bpf_object__next_map",
        ):
            getattr(self.c, name).restype = c_void_p
        self.c.bpf_object__find_map_by_name.argtypes = [c_void_p, c_char_p]
        self.c.bpf_object__find_program_by_name.argtypes = [c_void_p, c_char_p]
        self.c.bpf_object__next_map.argtypes = [c_void_p, c_void_p]
        self.c.bpf_map__name.argtypes = [c_void_p]
        self.c.bpf_map__name.restype = c_char_p
        self.c.bpf_map__set_pin_path.argtypes = [c_void_p, c_char_p]
        self.c.bpf_map__set_max_entries.argtypes = [c_void_p, c_uint32]
        for name in ("type", "key_size", "value_size", "max_entries", "fd"):
            getattr(self.c, f"bpf_map__{name}").argtypes = [c_void_p]
        self.c.bpf_program__fd.argtypes = [c_void_p]
        self.c.bpf_object__load.argtypes = [c_void_p]
        self.c.bpf_object__close.argtypes = [c_void_p]
        self.c.bpf_obj_get.argtypes = [c_char_p]
        self.c.bpf_obj_pin.argtypes = [c_int, c_char_p]
        self.c.bpf_link_create.argtypes = [c_int, c_int, c_int, c_void_p]
        self.c.bpf_link_update.argtypes = [c_int, c_int, c_void_p]
        self.c.bpf_obj_get_info_by_fd.argtypes = [c_int, c_void_p, POINTER(c_uint32)]
        self.c.bpf_map_update_elem.argtypes = [c_int, c_void_p, c_void_p, c_uint64]
        self.c.bpf_map_lookup_elem.argtypes = [c_int, c_void_p, c_void_p]
        self.c.bpf_map_lookup_batch.argtypes = [c_int, *(6 * [c_void_p])]
        self.c.bpf_map_delete_elem.argtypes = [c_int, c_void_p]
        self.c.bpf_prog_test_run_opts.argtypes = [c_int, c_void_p]

    def heard(self) -> str:
        """What libbpf has said since the last call, on one line."""
        said = " ".join("".join(self._said).split())
        self._said.clear()
        return said

    def _hear(self, level: int, template: bytes, arguments: int) -> int:
        if level > 1:  # information and debugging
            return 0
        line = ctypes.create_string_buffer(4096)
        self._libc.vsnprintf(line, c_size_t(len(line)), template, c_void_p(arguments))
        self._said.append(line.value.decode(errors="replace"))
        del self._said[:-20]
        return 0

    def check(self, result: int, what: str) -> int:
        """``result`` of a call that returns a negative error number. Raises OSError."""
        if result < 0:
            raise OSError(-result, f"{what}: {os.strerror(-result)}")
        return result

    # --- pinned objects -----------------------------------------------------------------------------------------------

    def open_pin(self, path: Path) -> int | None:
        """The file descriptor of what is pinned there, None when nothing is."""
        descriptor = self.c.bpf_obj_get(os.fsencode(path))
        return None if descriptor == -ENOENT else self.check(descriptor, f"open {path}")

    def pin(self, descriptor: int, path: Path) -> None:
        self.check(self.c.bpf_obj_pin(descriptor, os.fsencode(path)), f"pin {path}")

    def map_shape(self, descriptor: int) -> MapShape:
        info = _MapInfo()
        self._info(descriptor, info)
        return MapShape(info.type, info.key_size, info.value_size, info.max_entries)

    def link_ifindex(self, descriptor: int) -> int:
        """The interface a tcx link is attached to, 0 when that interface is gone."""
        info = _LinkInfo()
        self._info(descriptor, info)
        return int(info.tcx_ifindex)

    def _info(self, descriptor: int, info: ctypes.Structure) -> None:
        length = c_uint32(ctypes.sizeof(info))
        self.check(self.c.bpf_obj_get_info_by_fd(descriptor, byref(info), byref(length)), "object information")

    # --- programs -----------------------------------------------------------------------------------------------------

    def create_link(self, program: int, ifindex: int, attach_type: int) -> int:
        """libbpf 1.1 has no attach_tcx, but its link call passes the type and the interface on as they are."""
        return self.check(self.c.bpf_link_create(program, ifindex, attach_type, None), "attach by tcx")

    def update_link(self, link: int, program: int) -> None:
        self.check(self.c.bpf_link_update(link, program, None), "replace the attached program")

    def detach_link(self, link: int) -> None:
        """At once, not when its last file descriptor and pin have gone; an interface that has gone is no error."""
        self.check(self.c.bpf_link_detach(link), "detach")

    def test_run(self, program: int, packet: bytes, context: bytes, repeat: int = 1) -> tuple[int, bytes, bytes, int]:
        """BPF_PROG_TEST_RUN: (verdict, packet out, context out, nanoseconds per run)."""
        out = ctypes.create_string_buffer(len(packet) + 256)
        context_out = ctypes.create_string_buffer(len(context))
        data_in, context_in = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(context)
        run = _TestRun(sz=ctypes.sizeof(_TestRun), repeat=repeat)
        run.data_in, run.data_size_in = ctypes.addressof(data_in), len(packet)
        run.data_out, run.data_size_out = ctypes.addressof(out), len(out)
        run.ctx_in, run.ctx_size_in = ctypes.addressof(context_in), len(context)
        run.ctx_out, run.ctx_size_out = ctypes.addressof(context_out), len(context)
        self.check(self.c.bpf_prog_test_run_opts(program, byref(run)), "test run")
        return run.retval, out.raw[: run.data_size_out], context_out.raw[: run.ctx_size_out], run.duration

    # --- maps ---------------------------------------------------------------------------------------------------------

    def possible_cpus(self) -> int:
        return self.check(self.c.libbpf_num_possible_cpus(), "number of processors")

    def lookup(self, descriptor: int, key: bytes, value_size: int) -> bytes | None:
        value = ctypes.create_string_buffer(value_size)
        result = self.c.bpf_map_lookup_elem(descriptor, key, value)
        return None if result == -ENOENT else (self.check(result, "look up"), value.raw)[1]

    def update(self, descriptor: int, key: bytes, value: bytes) -> None:
        self.check(self.c.bpf_map_update_elem(descriptor, key, value, BPF_ANY), "update")

    def delete(self, descriptor: int, key: bytes) -> None:
        result = self.c.bpf_map_delete_elem(descriptor, key)
        if result != -ENOENT:
            self.check(result, "delete")

    def read_all(self, descriptor: int, key_size: int, value_size: int) -> tuple[bytes, bytes]:
        """All keys and all values of a hash or a trie, each joined, in the same order."""
        keys = ctypes.create_string_buffer(_BATCH * key_size)
        values = ctypes.create_string_buffer(_BATCH * value_size)
        place = ctypes.create_string_buffer(max(key_size, 8))  # a hash keeps a number there, a trie its last key
        count = c_uint32(_BATCH)
        all_keys, all_values = bytearray(), bytearray()
        before = None
        while True:
            result = self.c.bpf_map_lookup_batch(descriptor, before, byref(place), keys, values, byref(count), None)
            if result != -ENOENT:  # at the end it says that, and gives the rest
                self.check(result, "read a map")
            all_keys += memoryview(keys)[: count.value * key_size]
            all_values += memoryview(values)[: count.value * value_size]
            if result:
                return bytes(all_keys), bytes(all_values)
            before, count.value = byref(place), _BATCH


class BpfObject:
    """A compiled object: opened, its maps given pins and capacities, loaded."""

    def __init__(self, library: Libbpf, path: Path) -> None:
        self._library = library
        self._c = library.c
        self._path = path
        self._object: int | None = self._c.bpf_object__open_file(os.fsencode(path), None)
        if not self._object:
            raise DataplaneError(f"{path} is not a BPF object that libbpf can read: {library.heard()}")
        self._maps: dict[str, int] = {}
        found = self._c.bpf_object__next_map(self._object, None)
        while found:
            self._maps[self._c.bpf_map__name(found).decode()] = found
            found = self._c.bpf_object__next_map(self._object, found)

    def map_names(self) -> tuple[str, ...]:
        return tuple(self._maps)

    def map_shape(self, name: str) -> MapShape:
        found = self._map(name)
        return MapShape(
            self._c.bpf_map__type(found),
            self._c.bpf_map__key_size(found),
            self._c.bpf_map__value_size(found),
            self._c.bpf_map__max_entries(found) & 0xFFFFFFFF,
        )

    def set_capacity(self, name: str, capacity: int) -> None:
        self._library.check(self._c.bpf_map__set_max_entries(self._map(name), capacity), f"capacity of {name}")

    def set_pin(self, name: str, path: Path) -> None:
        """Load will use what is pinned there, or pin the new map there."""
        self._library.check(self._c.bpf_map__set_pin_path(self._map(name), os.fsencode(path)), f"pin path of {name}")

    def _map(self, name: str) -> int:
        if name not in self._maps:
            raise DataplaneError(f"{self._path} has no map {name}, so it is of another version: run `make setup`")
        return self._maps[name]

    def load(self) -> None:
        result = self._c.bpf_object__load(self._object)
        if result < 0:
            said = self._library.heard() or "libbpf does not say why"
            raise DataplaneError(f"the kernel refuses {self._path}: {os.strerror(-result)}: {said}")

    def map_descriptor(self, name: str) -> int:
        return self._library.check(self._c.bpf_map__fd(self._map(name)), f"map {name}")

    def program_descriptor(self, name: str) -> int:
        found = self._c.bpf_object__find_program_by_name(self._object, name.encode())
        if not found:
            raise DataplaneError(f"{self._path} has no program {name}")
        return self._library.check(self._c.bpf_program__fd(found), f"program {name}")

    def close(self) -> None:
        if self._object:
            self._c.bpf_object__close(self._object)
            self._object = None
