"""What the control socket answers, gathered from the engine, the data plane and the kernel."""

import os
import time
from typing import TYPE_CHECKING, Any

from unwired import __version__
from unwired.core.door import Drain
from unwired.core.home_agent import HomeAgent
from unwired.core.mobile_node import MobileNode
from unwired.host.control import Refused, Verb
from unwired.host.driver import now
from unwired.host.metrics import exposition
from unwired.host.path import explain_path
from unwired.wire.address import Address, format_address, parse_address

if TYPE_CHECKING:
    from unwired.core.home_agent_set import HomeAgentSet
    from unwired.host.daemon import Daemon
    from unwired.host.set_host import SetHost


SORTED_MAX = 1000


class Verbs:
    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon

    def table(self) -> dict[str, Verb]:
        return {
            "status": self.status,
            "metrics": self.metrics,
            "bindings": self.bindings,
            "members": self.members,
            "drain": self.drain,
            "explain": self.explain,
            "reload": self.reload,
            "stop": self.stop,
        }

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        daemon = self._daemon
        engine = daemon.engine
        wanted = daemon.state.wanted()
        drops = dict(daemon.driver.drops)
        counters = dict(daemon.driver.counters)
        if daemon.internal_errors:
            counters["internal_errors"] = daemon.internal_errors
        if daemon.reassembled.given_back:
            counters["reassembled"] = daemon.reassembled.given_back
        role: dict[str, Any] | None = None
        if isinstance(engine, HomeAgent | MobileNode):
            role = dict(engine.status())
            for reason, count in engine.drops.items():
                drops[reason] = drops.get(reason, 0) + count
            counters |= engine.counters
            role.pop("drops", None)
            role.pop("counters", None)
        return {
            "schema": "unwired.status/1",
            "name": daemon.config.daemon.name,
            "role": daemon.config.role_name,
            "version": __version__,
            "pid": os.getpid(),
            "config": str(daemon.config.path.absolute()),
            "started_at": round(daemon.started_at, 3),
            "uptime_s": round(time.time() - daemon.started_at, 3),
            "start_s": daemon.clock.parts,
            "waiting_for": daemon.waiting,
            "engine": role,
            "counters": counters,
            "drops": drops,
            "data_plane": {
                "counters": daemon.plane.table.counters(),
                "tunnel_device": daemon.config.daemon.tunnel_device,
                "uplinks": sorted(daemon.links.name_of(index) for index in daemon.uplinks),
            },
            "journal": {"path": str(daemon.journal.path), "commits": daemon.journal.commits},
            "home_agent_set": None if daemon.member is None else daemon.member.status(),
            # On a real home link two a binding: very many are neither sorted nor written at once.
            "host": sorted(map(str, wanted)) if len(wanted) <= SORTED_MAX else map(str, wanted),
        }

    def metrics(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"schema": "unwired.metrics/1", "text": self.metrics_text()}

    def metrics_text(self) -> str:
        return exposition(self.status({}))

    def bindings(self, request: dict[str, Any]) -> dict[str, Any]:
        engine = self._engine()
        bindings = engine.each_binding() if isinstance(engine, HomeAgent) else engine.bindings()
        return {"schema": "unwired.bindings/1", "bindings": bindings}

    def members(self, request: dict[str, Any]) -> dict[str, Any]:
        members, host = self._member()
        links = host.links()
        report = [{**member, **links.get(member["number"], {})} for member in members.members_report(now())]
        return {"schema": "unwired.members/1", "members": report}

    def drain(self, request: dict[str, Any]) -> dict[str, Any]:
        members, _ = self._member()
        primaries = sum(1 for _ in members.primaries())
        self._daemon.driver.handle((Drain(),))
        nearest = members.nearest()
        return {
            "schema": "unwired.drain/1",
            "primaries": primaries,
            "nearest": members.member(nearest).name if nearest else None,
        }

    def explain(self, request: dict[str, Any]) -> dict[str, Any]:
        address = _address(request.get("address"))
        return {
            "schema": "unwired.explain/1",
            "address": format_address(address),
            "engine": self._engine().explain(address),
            **explain_path(self._daemon, address),
        }

    async def reload(self, request: dict[str, Any]) -> dict[str, Any]:
        reasons = await self._daemon.reload()
        return {"schema": "unwired.reload/1", "applied": not reasons, "reasons": reasons}

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        self._daemon.end()
        return {"schema": "unwired.stop/1"}

    def _member(self) -> "tuple[HomeAgentSet, SetHost]":
        engine, host = self._engine(), self._daemon.member
        if not isinstance(engine, HomeAgent) or engine.members is None or host is None:
            raise Refused("this daemon is no member of a home agent set: its file has no [home_agent_set]")
        return engine.members, host

    def _engine(self) -> HomeAgent | MobileNode:
        engine = self._daemon.engine
        if not isinstance(engine, HomeAgent | MobileNode):
            raise Refused(f"the daemon has not started its role yet: {self._daemon.waiting}")
        self._daemon.driver.wake()  # what it tells is as of now
        return engine


def _address(text: object) -> Address:
    try:
        address = parse_address(str(text))
    except ValueError as error:
        raise Refused(str(error)) from None
    return address
