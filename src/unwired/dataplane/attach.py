"""Programs on interfaces: pinned tcx links where the kernel has them (6.6), clsact filters otherwise. Both outlive the
process that made them."""

import os
from errno import EEXIST, EINVAL, ENODEV, ENOENT, ENOLINK
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from unwired.dataplane.libbpf import TCX_EGRESS, TCX_INGRESS, Libbpf
from unwired.dataplane.table import DataplaneError

_CLSACT_INGRESS = 0xFFFFFFF2
_CLSACT_EGRESS = 0xFFFFFFF3
_PRIORITY = 0x557
_PROTOCOL_ALL = 3  # ETH_P_ALL


class Attachments:
    """The programs attached in the name of one table; ``directory`` holds the pins of their links.

    A pin is called by direction and interface number: ``ingress-4``.
    """

    def __init__(self, library: Libbpf, directory: Path, allow_tcx: bool = True) -> None:
        self._library = library
        self._directory = directory
        self._allow_tcx = allow_tcx

    def attach(self, program: int, ifindex: int, ingress: bool, name: str) -> None:
        """Attach, or replace what is attached, without a packet passing in between. Raises DataplaneError."""
        try:
            if not (self._allow_tcx and self._attach_tcx(program, ifindex, ingress)):
                self._attach_clsact(program, ifindex, ingress, name)
        except (OSError, NetlinkError) as error:
            raise DataplaneError(f"cannot attach {name} to interface number {ifindex}: {error}") from error

    def detach(self, ifindex: int, ingress: bool) -> None:
        """Nothing attached is no error."""
        pin = self._pin(ifindex, ingress)
        try:
            link = self._library.open_pin(pin)
            if link is not None:
                try:
                    self._library.detach_link(link)
                finally:
                    os.close(link)
                pin.unlink()
        except OSError as error:
            raise DataplaneError(f"cannot detach from interface number {ifindex}: {error}") from error
        record = self._clsact_record(ifindex, ingress)
        if record.exists():
            self._detach_clsact(ifindex, ingress)
            record.unlink()

    def interfaces(self, ingress: bool) -> tuple[int, ...]:
        """The interfaces whose ingress (else egress) has a program."""
        pattern = f"*{self._pin(0, ingress).name[:-1]}*"
        return tuple(sorted({int(pin.name.rpartition("-")[2]) for pin in self._directory.glob(pattern)}))

    def is_attached(self, ifindex: int, ingress: bool) -> bool:
        """Whether a program is there now, too, and not only what records it. Raises OSError."""
        link = self._library.open_pin(self._pin(ifindex, ingress))
        if link is not None:
            try:
                return self._library.link_ifindex(link) == ifindex
            finally:
                os.close(link)
        return self._clsact_record(ifindex, ingress).exists() and self._has_clsact(ifindex, ingress)

    def _pin(self, ifindex: int, ingress: bool) -> Path:
        return self._directory / f"{'ingress' if ingress else 'egress'}-{ifindex}"

    def _attach_tcx(self, program: int, ifindex: int, ingress: bool) -> bool:
        """False when this kernel has no tcx."""
        pin = self._pin(ifindex, ingress)
        link = self._library.open_pin(pin)
        if link is not None:
            try:
                # The number may have passed to another interface, or the interface to another namespace.
                if self._library.link_ifindex(link) == ifindex:
                    self._library.update_link(link, program)
                    return True
            except OSError as error:
                if error.errno not in (ENOLINK, ENOENT):
                    raise
            finally:
                os.close(link)
            pin.unlink()
        try:
            link = self._library.create_link(program, ifindex, TCX_INGRESS if ingress else TCX_EGRESS)
        except OSError as error:
            if error.errno == EINVAL:
                return False
            raise
        try:
            self._library.pin(link, pin)
        finally:
            os.close(link)
        return True

    # --- without tcx: a filter lives as long as its interface; a pin of the program records that it is ours ---------

    def _clsact_record(self, ifindex: int, ingress: bool) -> Path:
        return self._directory / f"clsact-{self._pin(ifindex, ingress).name}"

    def _attach_clsact(self, program: int, ifindex: int, ingress: bool, name: str) -> None:
        with IPRoute() as netlink:
            try:
                netlink.tc("add", kind="clsact", index=ifindex)
            except NetlinkError as error:
                if error.code != EEXIST:
                    raise
            netlink.tc(
                "replace-filter",
                **_clsact_filter(ifindex, ingress),
                fd=program,
                name=name,
                direct_action=True,
            )
        record = self._clsact_record(ifindex, ingress)
        record.unlink(missing_ok=True)
        self._library.pin(program, record)

    def _has_clsact(self, ifindex: int, ingress: bool) -> bool:
        ours = _clsact_filter(ifindex, ingress)
        with IPRoute() as netlink:
            try:
                found = netlink.get_filters(index=ifindex, parent=ours["parent"])
            except NetlinkError:
                return False  # neither the filter nor what it would be attached to
            return any(entry["handle"] == ours["handle"] and entry["info"] >> 16 == _PRIORITY for entry in found)

    def _detach_clsact(self, ifindex: int, ingress: bool) -> None:
        with IPRoute() as netlink:
            try:
                netlink.tc("del-filter", **_clsact_filter(ifindex, ingress))
            except NetlinkError as error:
                if error.code not in (ENODEV, ENOENT, EINVAL):
                    raise DataplaneError(f"cannot detach from interface number {ifindex}: {error}") from error


def _clsact_filter(ifindex: int, ingress: bool) -> dict[str, Any]:
    """What names our filter at an interface, to put it there and to take it away."""
    return {
        "kind": "bpf",
        "index": ifindex,
        "handle": 1,
        "parent": _CLSACT_INGRESS if ingress else _CLSACT_EGRESS,
        "prio": _PRIORITY,
        "protocol": _PROTOCOL_ALL,
    }
