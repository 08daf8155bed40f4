"""What Unwired needs of the kernel: tried out where that is feasible, and read where it is not."""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from unwired.dataplane import DataplaneError, object_path
from unwired.dataplane.bpf_table import BPFFS
from unwired.dataplane.libbpf import Libbpf
from unwired.doctor.data_plane import rehearse
from unwired.doctor.finding import Result, fail, ok, unknown, warn
from unwired.doctor.host import Host
from unwired.host import netlink
from unwired.host.netlink import Netlink

VERSION_MIN = (6, 1)
_BTF = Path("/sys/kernel/btf/vmlinux")
_TUN = Path("/dev/net/tun")
_DISTRIBUTION_KERNEL = (
    "boot your distribution's own kernel (Debian: apt install linux-image-$(dpkg --print-architecture))"
)


def rights(host: Host) -> Iterator[Result]:
    if os.geteuid() != 0:
        yield warn("this is not root, so some things can't be looked at", "sudo unwired doctor")
    elif host.lacks:
        yield fail(
            f"root, but without {', '.join(host.lacks)}, as in many containers",
            "give the container these capabilities (docker run --cap-add ..., or LXC's lxc.cap.keep), or use the host",
        )
    else:
        yield ok("root, with all that the daemon needs")


def parts(host: Host) -> Iterator[Result]:
    for needed in (object_path, Libbpf):
        try:
            needed()
        except DataplaneError as error:
            yield fail(str(error), "make setup")
            return
    yield ok("the compiled data plane and libbpf are there")


def version(host: Host) -> Iterator[Result]:
    release = platform.release()
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers and (int(numbers[1]), int(numbers[2])) < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN))
        yield warn(f"Linux {release}; Unwired is made for {wanted} and later", _DISTRIBUTION_KERNEL)
    else:
        yield ok(f"Linux {release}")


def bpf(host: Host) -> Iterator[Result]:
    if host.sysctl("kernel/unprivileged_bpf_disabled") is None:
        yield fail("this kernel has no bpf system call (CONFIG_BPF_SYSCALL)", _DISTRIBUTION_KERNEL)
    elif not _BTF.exists():
        yield fail(
            f"this kernel does not describe its types: there is no {_BTF} (CONFIG_DEBUG_INFO_BTF)", _DISTRIBUTION_KERNEL
        )
    else:
        yield ok("the bpf system call and BTF are there")


def bpf_file_system(host: Host) -> Iterator[Result]:
    mounted = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    if [str(BPFFS), "bpf"] in mounted:
        yield ok(f"mounted at {BPFFS}")
    elif BPFFS.is_dir():
        yield warn(
            f"not mounted at {BPFFS}: the daemon mounts it, but what it pins there is lost when it runs in a mount "
            "namespace of its own, as some systemd settings make it",
            f"mount -t bpf bpf {BPFFS}",
        )
    else:
        yield fail(f"there is no {BPFFS} to mount it at", "mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf")


def just_in_time(host: Host) -> Iterator[Result]:
    if host.sysctl("net/core/bpf_jit_enable") == "0":
        yield warn("the compiler of BPF programs is off", "sysctl -w net.core.bpf_jit_enable=1")
    else:
        yield ok("on")


def tun(host: Host) -> Iterator[Result]:
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        if isinstance(error, PermissionError) and not host.is_root:
            yield unknown(f"{_TUN} is there, and only root may open it", "sudo unwired doctor")
            return
        yield fail(
            f"{_TUN} can't be opened: {error.strerror}",
            "modprobe tun; in a container, hand the device on to it (docker run --device /dev/net/tun)",
        )
    else:
        yield ok(f"{_TUN} can be opened")


def programs(host: Host) -> Iterator[Result]:
    tried = rehearse()
    if tried.loaded:
        yield ok("the kernel takes our programs")
    else:
        yield fail(tried.refusal, _DISTRIBUTION_KERNEL)


def attachment(host: Host) -> Iterator[Result]:
    tried = rehearse()
    if tried.attached_by:
        yield ok(f"our programs can be attached to interfaces, by {tried.attached_by}")
    else:
        yield fail(
            f"our programs can't be attached: {tried.refusal}",
            f"modprobe sch_ingress cls_bpf (for kernels before 6.6, which have no tcx), or {_DISTRIBUTION_KERNEL}",
        )


def forwarding(host: Host) -> Iterator[Result]:
    tried = rehearse()
    if not tried.attached_by:
        yield fail("nothing could be forwarded, because the programs are not in place", "see the findings above")
    elif tried.failures:
        yield from (fail(failure, _DISTRIBUTION_KERNEL) for failure in tried.failures)
    else:
        yield ok("packets went into tunnels of every kind and out of them, and a control packet to the daemon")


def policy_rules(host: Host) -> Iterator[Result]:
    kernel = Netlink()
    try:
        kernel.dump(netlink.RTM_GETRULE)
    except OSError as error:
        yield fail(f"this kernel has no rules for IPv6 routing: {error.strerror}", _DISTRIBUTION_KERNEL)
    else:
        yield ok("rules for IPv6 routing are there")
    finally:
        kernel.close()


def optimistic_addresses(host: Host) -> Iterator[Result]:
    if host.sysctl("net/ipv6/conf/all/optimistic_dad") is None:
        yield warn("this kernel has no optimistic addresses (CONFIG_IPV6_OPTIMISTIC_DAD)", _DISTRIBUTION_KERNEL)
    else:
        yield ok("the kernel has optimistic addresses")
