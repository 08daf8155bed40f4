"""The daemon: one engine, its share of the host, and the order in which they start, change and stop.

Start: lock, journal, ledger, data plane, the host's links; then the engine takes up what the journal kept and asks for
what it wants, and only what an earlier daemon left and nobody asked for again is swept away: so a daemon that was
killed is succeeded without a packet lost. A clean stop gives everything back.
"""

import asyncio
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from unwired.core.door import Engine, Event
from unwired.core.global_binding import BindingStore
from unwired.core.home_agent import HomeAgent
from unwired.core.mobile_node import MobileNode
from unwired.core.notices import Level
from unwired.core.subscribers import Subscribers
from unwired.dataplane.devices import tunnel_devices
from unwired.dataplane.table import DataplaneError
from unwired.host import config as configuration
from unwired.host import health, subscriber_copy
from unwired.host.config import Config, HomeAgentConfig, MobileNodeConfig
from unwired.host.control import ControlServer
from unwired.host.driver import Driver, now
from unwired.host.forwarding_plane import BpfPlane, ForwardingPlane, PlaneFactory
from unwired.host.fragments import Reassembled
from unwired.host.home_agent_host import HomeAgentHost, link_local_address
from unwired.host.kernel_objects import Sysctl
from unwired.host.kernel_state import KernelState
from unwired.host.ledger import Ledger
from unwired.host.links import Interface, Links, link_local_first
from unwired.host.metrics import MetricsServer
from unwired.host.mobile_node_host import MobileNodeHost
from unwired.host.nat_prober import NatProber
from unwired.host.netlink import RTM_NEWLINK, Message, Netlink, NetlinkChanges
from unwired.host.notice_board import NoticeBoard
from unwired.host.optimistic import NewLink
from unwired.host.problems import ConfigError
from unwired.host.ready import tell_supervisor
from unwired.host.reverse_path import ReversePath
from unwired.host.runtime import DaemonError, Runtime
from unwired.host.set_host import SetHost
from unwired.host.sockets import NeighborDiscovery, Sender
from unwired.host.start_clock import StartClock
from unwired.host.verbs import Verbs
from unwired.plane.announcement import Announcer
from unwired.plane.mesh import MeshCarrier
from unwired.store.journal import Journal, JournalError
from unwired.wire.address import Address
from unwired.wire.datagram import PORT

SWITCH_INTERVAL_S = 0.0005
"""How long the journal's thread may wait for the interpreter: Python's 5 ms would be most of a handover."""
GARBAGE_AFTER = 20_000
"""Allocations between searches for cyclic garbage, of which there is next to none: a search among 100,000 bindings
takes longer than a handover. At the start, which makes them all, there is none."""
LOOK_AFTER_S = 0.03
SETTLED_POLL_S = 0.02
PUT_BACK_INTERVAL_S = 1.0
"""At most this often what others removed is put back: two programs must not fight at full speed."""
WARNING_INTERVAL_S = 86_400.0
FIXED_KEYS = (
    *("name", "runtime_dir", "state_dir", "tunnel_device", "punt_device", "routing_table", "rule_priority", "metrics"),
)
"""Keys of [daemon] that a running daemon can't change."""


async def serve(config: Config, clock: StartClock, open_plane: PlaneFactory = BpfPlane) -> None:
    """Run until SIGTERM or SIGINT; ``clock`` has been running since the process began. Raises DaemonError when it
    can't start or go on; everything made then stays in place for the next daemon."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    daemon = Daemon(config, clock, open_plane)
    try:
        await daemon.run()
    except (JournalError, DataplaneError) as error:
        raise DaemonError(str(error)) from None
    except PermissionError as error:
        raise DaemonError(f"root is needed, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF: {error}") from None
    except OSError as error:
        raise DaemonError(f"the kernel refuses: {error}") from None
    finally:
        daemon.board.write_log()


class Daemon:
    def __init__(self, config: Config, clock: StartClock, open_plane: PlaneFactory) -> None:
        self.config = config
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        self.board = NoticeBoard(Level(config.daemon.log_level), later=self._loop.call_later)
        self.started_at = time.time()
        self._open_plane = open_plane
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.internal_errors = 0
        self._told_at = float("-inf")
        self._put_back_at = 0.0
        self._put_back_timer: asyncio.TimerHandle | None = None
        self._reloading = asyncio.Lock()
        self._reload: asyncio.Task[list[str]] | None = None
        self.uplinks: set[int] = set()
        self.waiting: str | None = ""
        """What a role waits for before it starts; None when it has started."""
        self.engine: Engine | None = None
        self.member: SetHost | None = None
        """What ties us to the other members, if we are one of a home agent set."""

    # --- life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.end)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        self._loop.set_exception_handler(self._internal_error)
        daemon = self.config.daemon
        _need_ipv6()
        self.runtime = Runtime(daemon.runtime)
        self.clock.end("modules")
        self.journal = Journal(daemon.journal)
        self.journal.start(self._turn_journal_soon)
        self.clock.end("journal_check")
        self.kernel = Netlink()
        self._changes = NetlinkChanges()
        ledger = Ledger(self.runtime.ledger)
        is_first = not ledger.entries
        self.state = KernelState(self.kernel, ledger)
        self._reverse_path = ReversePath(self.state)
        self._relaxed: tuple[set[str], set[str]] = set(), set()
        """The interfaces that it was last told of, and those that there were."""
        self.plane: ForwardingPlane
        try:
            self.plane = self._open_plane(daemon, self._capacity())
            try:
                await self._set_up()
            except BaseException:
                if is_first:
                    # Nobody's packets depend on what was made so far.
                    self.state.give_back()
                    self.plane.remove()
                raise
        except BaseException:
            if is_first:
                self.state.close()
                self.runtime.close()
            raise
        await self._ended
        await self._stop()

    async def _set_up(self) -> None:
        daemon, plane = self.config.daemon, self.plane
        self._discovery = NeighborDiscovery()
        self._sender = Sender(by_source=isinstance(self.config.role, MobileNodeConfig))
        self._prober = NatProber(self._tell)
        self.reassembled = Reassembled(plane.punt, plane.punted)
        self.driver = Driver(
            plane.table, plane.punted, self._sender, self._discovery, self.reassembled, self.journal, self.board
        )
        ours = frozenset((*tunnel_devices(daemon.tunnel_device), daemon.punt_device))
        is_mobile_node = isinstance(self.config.role, MobileNodeConfig)
        self.links = Links(self.kernel, ours, self._appeared, with_routers=is_mobile_node)
        verbs = Verbs(self)
        self._control = ControlServer(self.runtime.control_socket, verbs.table(), self.board)
        self._metrics = MetricsServer(daemon.metrics, verbs.metrics_text) if daemon.metrics is not None else None
        self._set_role()
        self.member = self._make_member()
        self.links.read_all()
        self._host.prepare(self.links)
        self._loop.add_reader(self._changes.fileno(), self._netlink_readable)
        self._attach_uplinks()
        for index in self.plane.uplinks() - self.uplinks:
            self.plane.detach(index)  # an earlier daemon's, by another configuration or of an interface that has gone
        self._start_role_when_ready()
        if self.member is not None:
            await self.member.start(self._binding_store())
        await self._control.start()
        if self._metrics is not None:
            await self._start_metrics(self._metrics)
        self._warn()
        gc.freeze()
        gc.enable()
        gc.set_threshold(GARBAGE_AFTER, 20, 50)
        self.clock.end("members")
        self._copy_subscribers()

    async def _start_metrics(self, server: MetricsServer) -> None:
        """Nobody's packets depend on it: where it can't be, that is said."""
        try:
            await server.start()
        except OSError as error:
            self.board.say("metrics_failed", Level.ERROR, reason=error.strerror or str(error))

    def _warn(self) -> None:
        """Daily: certificates end while a daemon runs, and then no other member accepts it any more."""
        self._loop.call_later(WARNING_INTERVAL_S, self._warn)
        for reason in self.config.warnings():
            self.board.say("configuration_warning", Level.WARNING, reason=reason)
        if self.reassembled.port_problem and self.config.role.uses_ipv4_networks:
            self.board.say("udp_port_taken", Level.WARNING, port=PORT, reason=self.reassembled.port_problem)

    def _copy_subscribers(self) -> None:
        """For the next start. In a thread: it takes as long as some HELLOs."""
        role = self.config.role
        if isinstance(role, HomeAgentConfig) and role.to_copy is not None:
            path, fresh = self.config.daemon.subscriber_copy, role.to_copy
            self._loop.run_in_executor(None, subscriber_copy.write, path, fresh.digest, fresh.subscribers)

    def end(self) -> None:
        """A clean stop, soon."""
        if not self._ended.done():
            self._ended.set_result(None)

    def fail(self, error: Exception) -> None:
        """Give up, leaving everything in place: forwarding goes on without us."""
        if not self._ended.done():
            self._ended.set_exception(error)

    def _internal_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A defect of ours met in one callback: said once a second with all that helps to find it, and the loop goes on
        with the next packet. No peer may end the daemon. A journal that fails does: nothing may be acknowledged any
        more, and a successor can be believed again."""
        error = context.get("exception")
        if isinstance(error, JournalError):
            self.fail(error)
            return
        self.internal_errors += 1
        moment = loop.time()
        if moment - self._told_at < 1.0:
            return
        self._told_at = moment
        lines = traceback.format_exception(error) if error is not None else []
        reason = f"{type(error).__name__}: {error}" if error is not None else str(context["message"])
        self.board.say("internal_error", Level.ERROR, reason=reason, traceback="".join(lines))

    async def _stop(self) -> None:
        tell_supervisor("STOPPING=1")
        await self._control.stop()
        if self._metrics is not None:
            self._metrics.stop()
        self._loop.remove_reader(self._changes.fileno())
        if self._put_back_timer is not None:
            self._put_back_timer.cancel()
        if self._reload is not None:
            self._reload.cancel()
        if self.member is not None:
            await self.member.stop_announcing()
        if self.engine is not None:
            self.driver.stop()
            self.engine.stop(now())
            self.driver.perform()
            self.driver.stop()
        if self.member is not None:
            await self.member.stop()
        self.journal.close()
        self.state.give_back()
        self.state.close()
        self.plane.remove()
        self._prober.close()
        self.reassembled.close()
        self._discovery.close()
        self._sender.close()
        self._changes.close()
        self.kernel.close()
        self.runtime.close()

    # --- the role --------------------------------------------------------------------------------------------------

    def _capacity(self) -> int:
        """Rows of each kind: a home agent has two a binding while a previous care-of address is accepted."""
        role = self.config.role
        return 2 * role.settings.bindings_max + 64 if isinstance(role, HomeAgentConfig) else 1024

    def _set_role(self) -> None:
        config, tunnel = self.config, self.plane.tunnel
        self._host: HomeAgentHost | MobileNodeHost
        if isinstance(config.role, HomeAgentConfig):
            self._host = HomeAgentHost(config.role, self.state, self._discovery, tunnel)
        else:
            new_link = NewLink(self.kernel, self._optimistic)
            self._host = MobileNodeHost(
                config.daemon, config.role, self.state, self._discovery, new_link, self._prober, tunnel
            )

    def _make_engine(self) -> Engine:
        role = self.config.role
        if not isinstance(role, HomeAgentConfig):
            return MobileNode(role.settings, os.urandom)
        settings = role.settings
        link = None if role.home_link is None else self.links.named(role.home_link)
        if link is not None:
            settings = role.on_link(link.index, link.link_layer_address, link_local_address(link) or bytes(16))
        self._subscribers = Subscribers(role.subscribers)
        return HomeAgent(settings, self._subscribers, os.urandom)

    def _make_member(self) -> SetHost | None:
        """What ties us to the other members, where the configuration names any."""
        role = self.config.role
        if not isinstance(role, HomeAgentConfig) or role.home_agent_set is None:
            return None
        ours = role.home_agent_set
        announcement, announcer = role.announcement, None
        if announcement is not None:
            announcer = Announcer(self.runtime.directory, announcement, self._announcement_problem)
        member = SetHost(
            ours,
            MeshCarrier(ours.settings, ours.credentials, ours.port),
            announcer,
            self.driver.handle,
            self._why_not_serving,
            self.end,
            self.board,
        )
        self.driver.join(member.carry_out)
        return member

    def _why_not_serving(self) -> str | None:
        able, reason = health.check(self.plane, self.links, self.uplinks)
        return None if able else reason

    def _binding_store(self) -> BindingStore:
        engine = self.engine
        if not isinstance(engine, HomeAgent) or engine.binding_store is None:
            raise DaemonError("the home agent has not started: it can't be a member of a set")
        return engine.binding_store

    def _announcement_problem(self, reason: str) -> None:
        self.board.say("announcement_problem", Level.WARNING, reason=reason)

    def _start_role_when_ready(self) -> None:
        """Start the role, or say what it waits for (a home link that is not up yet)."""
        waiting = self._host.waits_for(self.links)
        if waiting is None:
            self._start_role()
        elif waiting != self.waiting:
            self.board.say("waiting", Level.WARNING, reason=waiting)
        self.waiting = waiting

    def _start_role(self) -> None:
        """Adopt what is there, ask for what is wanted, sweep the rest. A home agent whose rows are there asks for them
        little by little, and answers meanwhile."""
        self.clock.end("host")
        self.plane.table.begin_adoption()
        self.clock.end("rows_read")
        engine = self._make_engine()
        if isinstance(engine, HomeAgent):
            engine.rows_are_there = self.plane.adopted
        self.engine = engine
        self.driver.drive(engine, self._host)
        moment = now()
        records = self.journal.records()
        self.clock.end("journal_read")
        engine.restore(records, moment)
        self.clock.end("restore")
        engine.start(moment)
        self.driver.perform()
        self.driver.handle(link_local_first(self.links.everything()))
        self.driver.start()
        for name in self.config.daemon.uplinks or ():
            if self.links.named(name) is None:
                self.board.say("uplink_missing", Level.WARNING, interface=name)
        self.clock.end("role")
        self._sweep_when_settled(engine, len(records))

    def _sweep_when_settled(self, engine: Engine, records: int) -> None:
        """As soon as the engine has asked for everything."""
        if engine is not self.engine or self._ended.done():
            return
        if isinstance(engine, HomeAgent) and not engine.is_settled:
            self._loop.call_later(SETTLED_POLL_S, self._sweep_when_settled, engine, records)
            return
        swept = self.plane.table.sweep()
        stale = self.state.sweep()
        self.clock.end("rows_adopted")
        for entry in stale:
            self.board.say("swept", Level.DEBUG, object=str(entry))
        self.board.say(
            "daemon_ready",
            role=self.config.role_name,
            daemon=self.config.daemon.name,
            records_restored=records,
            rows_swept=swept,
            objects_swept=len(stale),
        )
        tell_supervisor("READY=1")

    # --- what happens ----------------------------------------------------------------------------------------------

    def _turn_journal_soon(self) -> None:
        """Called in the journal's thread."""
        self._loop.call_soon_threadsafe(self._journal_turned)

    def _journal_turned(self) -> None:
        self.driver.journal_turned()

    def _netlink_readable(self) -> None:
        messages = self._changes.read()
        if messages is None:
            self.board.say("netlink_overrun", Level.WARNING)
            events = self.links.read_all()
            self.state.suspect_all()
        else:
            events = []
            for message in messages:
                self._notice(message)
                events += self.links.events(message)
            events = link_local_first(events)
        self._attach_uplinks()
        if self.engine is None:
            self._start_role_when_ready()
        elif events:
            self.driver.handle(events)
        if self.state.suspicious:
            # Looking takes milliseconds, which belong to the handover first.
            self._loop.call_later(LOOK_AFTER_S, self._look)
        if self.state.lost:
            self._put_back_soon()

    def _notice(self, message: Message) -> None:
        self.state.observe(message)
        if message["header"]["type"] == RTM_NEWLINK:  # a link that came up again has lost its routes without a word
            self.state.suspect_interface(message["index"])

    def _tell(self, events: Iterable[Event]) -> None:
        self.driver.handle(events)

    def _optimistic(self, interface: int, address: Address, prefix_length: int) -> None:
        self.driver.handle(self.links.optimistic(interface, address, prefix_length))

    def _look(self) -> None:
        if self._ended.done():
            return
        self.state.look()
        if self.state.lost:
            self._put_back_soon()

    def _put_back_soon(self) -> None:
        if self._put_back_timer is None:
            at = max(self._loop.time(), self._put_back_at + PUT_BACK_INTERVAL_S)
            self._put_back_timer = self._loop.call_at(at, self._put_back)

    def _put_back(self) -> None:
        self._put_back_timer = None
        self._put_back_at = self._loop.time()
        for entry in self.state.put_back():
            self.board.say("put_back", Level.WARNING, object=str(entry))

    def _appeared(self, interface: Interface) -> None:
        self._host.interface_appeared(interface)

    def _attach_uplinks(self) -> None:
        """Watch the ingress of every uplink, by configuration or all; also of one without carrier yet, so that it costs
        no time when its link comes up."""
        chosen = self.config.daemon.uplinks
        wanted = {
            interface.index
            for interface in self.links.interfaces.values()
            if chosen is None or interface.name in chosen
        }
        for index in wanted - self.uplinks:
            try:
                self.plane.attach(index)
            except DataplaneError as error:
                self.board.say("uplink_failed", Level.ERROR, interface=self.links.name_of(index), reason=str(error))
                continue
            self.uplinks.add(index)
            self._warn_without_ipv6(self.links.interfaces[index])
        for index in self.uplinks - wanted:
            self.plane.detach(index)
            self.uplinks.discard(index)
        self._relax_reverse_path()

    def _relax_reverse_path(self) -> None:
        """Where it may matter and anything has changed."""
        wanted = self.config.role.has_ipv4_home_addresses
        open_to = {self.links.name_of(index) for index in self.uplinks} | {self.config.daemon.punt_device}
        there = {interface.name for interface in self.links.interfaces.values()}
        if (open_to, there) != self._relaxed:
            self._relaxed = open_to, there
            self._reverse_path.relax(open_to if wanted else set())

    def _warn_without_ipv6(self, interface: Interface) -> None:
        """What is inside of a tunnel is IPv6 also where the network is IPv4, and comes by the tunnel's interface."""
        disabled = Sysctl(f"net/ipv6/conf/{interface.name}/disable_ipv6", "1")
        if not disabled.exists() or disabled.read() != "0":
            counts = interface.name in (self.config.daemon.uplinks or ()) or self._host.is_for_tunnels(interface)
            self.board.say("ipv6_disabled", Level.WARNING if counts else Level.INFO, interface=interface.name)

    # --- another configuration -------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        self._reload = self._loop.create_task(self.reload())

    async def reload(self) -> list[str]:
        """Read the configuration again and apply it in place. Returns why it was not applied, a sentence each."""
        async with self._reloading:
            try:
                # Ten thousand subscribers take half a second, in which the other members would take us for dead.
                fresh = await asyncio.to_thread(configuration.load, self.config.path)
            except ConfigError as error:
                reasons = [problem.sentence() for problem in error.problems]
            else:
                reasons = self._obstacles(fresh)
                if not reasons:
                    self._apply(fresh)
        for reason in reasons:
            self.board.say("configuration_refused", Level.ERROR, reason=reason)
        return reasons

    def _apply(self, fresh: Config) -> None:
        before, self.config = self.config, fresh
        self.board.level = Level(fresh.daemon.log_level)
        if fresh.daemon.tunnel_mtu != before.daemon.tunnel_mtu:
            self.plane.set_tunnel_mtu(fresh.daemon.tunnel_mtu)
        if fresh.daemon.shortcut != before.daemon.shortcut:
            self.plane.set_shortcut(fresh.daemon.shortcut)
        if fresh.daemon.clamp_mss != before.daemon.clamp_mss:
            self.plane.set_clamp_mss(fresh.daemon.clamp_mss)
        self._attach_uplinks()
        if self.member is not None:
            self._renew_member(self.member)  # also with the same [bgp]: BIRD may take today what it refused
        elif fresh.role != before.role:
            self._replace_role()
        self._copy_subscribers()
        self.board.say("configuration_applied", file=str(fresh.path))

    def _obstacles(self, fresh: Config) -> list[str]:
        if fresh.role_name != self.config.role_name:
            return ["the role can't change while the daemon runs: stop it and start it again"]
        if _without_what_a_member_renews(fresh) != _without_what_a_member_renews(self.config):
            return [
                "a member of a home agent set takes up other subscribers and another [bgp] while it runs, and nothing "
                "else of its role: stop it and start it again (its mobile nodes are served by the other members)"
            ]
        return [
            f"daemon.{key} can't change while the daemon runs: stop it and start it again"
            for key in FIXED_KEYS
            if getattr(fresh.daemon, key) != getattr(self.config.daemon, key)
        ]

    def _renew_member(self, member: SetHost) -> None:
        role = self.config.role
        if isinstance(role, HomeAgentConfig):
            self._subscribers.replace(role.subscribers)
            if isinstance(self._host, HomeAgentHost):
                self._host.renew(role)
            announcement = role.announcement
            if announcement is not None:
                member.announce_as(announcement)

    def _replace_role(self) -> None:
        """A fresh engine takes up the journal, as after a restart, while the data plane goes on."""
        if self.engine is not None:
            if isinstance(self.engine, MobileNode):
                self.engine.stop(now())
                self.driver.perform()
            self.driver.stop()
        self.engine = None
        self.journal.flush()
        self.state.adopt()
        self._relaxed = set(), set()
        self._relax_reverse_path()
        self._set_role()
        self._host.prepare(self.links)
        self._start_role_when_ready()


def _need_ipv6() -> None:
    """Raises DaemonError where the kernel does without."""
    if not Path("/proc/sys/net/ipv6").exists():
        raise DaemonError(
            "this kernel runs without IPv6, which is inside of tunnels also where all networks are IPv4: boot it "
            "without ipv6.disable=1 (an interface may have it switched off, by net.ipv6.conf.INTERFACE.disable_ipv6)"
        )


def _without_what_a_member_renews(config: Config) -> object:
    """What of a member's role is fixed while it runs; None for a role that is no member's."""
    role = config.role
    if not isinstance(role, HomeAgentConfig) or role.home_agent_set is None:
        return None
    return replace(role, subscribers=(), bgp=None), role.bgp is None
