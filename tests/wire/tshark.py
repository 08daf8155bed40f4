"""tshark as the oracle: what it says of a capture, in the shape in which ``ours`` tells what we say.

A description holds the packet's addresses, its type, the fields by our names (integers, or bytes in hexadecimal), the
options in order and the checksum. Where tshark names a field is in ``FIELDS``; where it is wrong, in the comments.
"""

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unwired.wire import icmpv6, nd_options, rfc4283, rfc4285, rfc5142, rfc6275
from unwired.wire.ipv6 import Packet
from unwired.wire.mobility import MobilityMessage, MobilityOption, UnknownOption
from unwired.wire.nd_options import UnknownNdOption

Description = dict[str, Any]
Element = ElementTree.Element

FIELDS: dict[type, dict[str, str]] = {
    rfc6275.BindingRefreshRequest: {},
    rfc6275.HomeTestInit: {"cookie": "mip6.hoti.cookie"},
    rfc6275.CareOfTestInit: {"cookie": "mip6.coti.cookie"},
    rfc6275.HomeTest: {
        "nonce_index": "mip6.hot.nindex",
        "cookie": "mip6.hot.cookie",
        "keygen_token": "mip6.hot.token",
    },
    # tshark 4.0 shows the care-of keygen token under the home keygen token's name.
    rfc6275.CareOfTest: {
        "nonce_index": "mip6.cot.nindex",
        "cookie": "mip6.cot.cookie",
        "keygen_token": "mip6.hot.token",
    },
    rfc6275.BindingUpdate: {
        "sequence": "mip6.bu.seqnr",
        "acknowledge": "mip6.bu.a_flag",
        "home_registration": "mip6.bu.h_flag",
        "link_local_compatible": "mip6.bu.l_flag",
        "key_management": "mip6.bu.k_flag",
        "map_registration": "mip6.bu.m_flag",
        "mobile_router": "mip6.nemo.bu.r_flag",
        "proxy_registration": "mip6.bu.p_flag",
        "force_udp_encapsulation": "mip6.bu.f_flag",
        "tlv_header_format": "mip6.bu.t_flag",
        "bulk_binding_update": "mip6.bu.b_flag",
        "lifetime_units": "mip6.bu.lifetime",
    },
    rfc6275.BindingAcknowledgement: {
        "status": "mip6.ba.status",
        "key_management": "mip6.ba.k_flag",
        "mobile_router": "mip6.nemo.ba.r_flag",
        "proxy_registration": "mip6.ba.p_flag",
        "tlv_header_format": "mip6.ba.t_flag",
        "bulk_binding_update": "mip6.ba.b_flag",
        "sequence": "mip6.ba.seqnr",
        "lifetime_units": "mip6.ba.lifetime",
    },
    rfc6275.BindingError: {"status": "mip6.be.status", "home_address": "mip6.be.haddr"},
    rfc5142.HomeAgentSwitch: {"addresses": "mip6.has.address"},
    rfc6275.BindingRefreshAdvice: {"interval_units": "mip6.bra.interval"},
    rfc6275.AlternateCareOfAddress: {"address": "mip6.acoa.acoa"},
    rfc6275.NonceIndices: {"home_nonce_index": "mip6.ni.hni", "care_of_nonce_index": "mip6.ni.cni"},
    rfc6275.BindingAuthorizationData: {"authenticator": "mip6.bad.auth"},
    rfc4283.MobileNodeIdentifier: {"subtype": "mip6.mnid.subtype", "identifier": "mip6.mnid.identifier"},
    rfc4285.MobilityMessageAuthentication: {
        "subtype": "mip6.auth.subtype",
        "spi": "mip6.auth.mobility_spi",
        "authenticator": "mip6.auth.auth_data",
    },
    rfc4285.MessageId: {"timestamp": "mip6.mseg_id.timestamp"},
    icmpv6.DestinationUnreachable: {"code": "icmpv6.code"},
    icmpv6.PacketTooBig: {"mtu": "icmpv6.mtu"},
    icmpv6.TimeExceeded: {"code": "icmpv6.code"},
    icmpv6.ParameterProblem: {"code": "icmpv6.code", "pointer": "icmpv6.pointer"},
    icmpv6.RouterSolicitation: {},
    icmpv6.RouterAdvertisement: {
        "hop_limit": "icmpv6.nd.ra.cur_hop_limit",
        "managed": "icmpv6.nd.ra.flag.m",
        "other": "icmpv6.nd.ra.flag.o",
        "home_agent": "icmpv6.nd.ra.flag.h",
        "preference": "icmpv6.nd.ra.flag.prf",
        "router_lifetime_s": "icmpv6.nd.ra.router_lifetime",
        "reachable_time_ms": "icmpv6.nd.ra.reachable_time",
        "retransmission_timer_ms": "icmpv6.nd.ra.retrans_timer",
    },
    icmpv6.NeighborSolicitation: {"target": "icmpv6.nd.ns.target_address"},
    icmpv6.NeighborAdvertisement: {
        "target": "icmpv6.nd.na.target_address",
        "router": "icmpv6.nd.na.flag.r",
        "solicited": "icmpv6.nd.na.flag.s",
        "override": "icmpv6.nd.na.flag.o",
    },
    icmpv6.HomeAgentAddressDiscoveryRequest: {"identifier": "icmpv6.mip6.identifier"},
    icmpv6.HomeAgentAddressDiscoveryReply: {
        "identifier": "icmpv6.mip6.identifier",
        "addresses": "icmpv6.mip6.home_agent_address",
    },
    icmpv6.MobilePrefixSolicitation: {"identifier": "icmpv6.mip6.identifier"},
    icmpv6.MobilePrefixAdvertisement: {
        "identifier": "icmpv6.mip6.identifier",
        "managed": "icmpv6.mip6.flag.m",
        "other": "icmpv6.mip6.flag.o",
    },
    nd_options.SourceLinkLayerAddress: {"address": "icmpv6.opt.linkaddr"},
    nd_options.TargetLinkLayerAddress: {"address": "icmpv6.opt.linkaddr"},
    nd_options.PrefixInformation: {
        "prefix_length": "icmpv6.opt.prefix.length",
        "on_link": "icmpv6.opt.prefix.flag.l",
        "autonomous": "icmpv6.opt.prefix.flag.a",
        "router_address": "icmpv6.opt.prefix.flag.r",
        "valid_lifetime_s": "icmpv6.opt.prefix.valid_lifetime",
        "preferred_lifetime_s": "icmpv6.opt.prefix.preferred_lifetime",
        "prefix": "icmpv6.opt.prefix",
    },
    nd_options.Mtu: {"mtu": "icmpv6.opt.mtu"},
    nd_options.AdvertisementInterval: {"interval_ms": "icmpv6.opt.advertisement_interval"},
    nd_options.HomeAgentInformation: {
        "preference": "icmpv6.opt.home_agent_preference",
        "lifetime_s": "icmpv6.opt.home_agent_lifetime",
    },
    nd_options.Pref64: {
        "lifetime_units": "icmpv6.opt.pref64.scaled_lifetime",
        "prefix_length_code": "icmpv6.opt.pref64.plc",
    },
}
_OPTIONS_MISREAD = (rfc5142.HomeAgentSwitch.TYPE,)
"""tshark 4.0 looks for the options of a Home Agent Switch six bytes before they start: they are not compared."""
_MOBILITY = {cls.TYPE: cls for cls in FIELDS if issubclass(cls, MobilityMessage)}
_MOBILITY_OPTIONS = {cls.TYPE: cls for cls in FIELDS if issubclass(cls, MobilityOption)}
_ICMP = {cls.TYPE: cls for cls in FIELDS if issubclass(cls, icmpv6.IcmpMessage)}
_ND_OPTIONS = {cls.TYPE: cls for cls in FIELDS if issubclass(cls, nd_options.NdOption)}


def run(program: str, *arguments: str) -> bytes:
    """The output of one of Wireshark's programs; the test fails where it is not installed."""
    if shutil.which(program) is None:
        pytest.fail(f"{program} is not installed; these tests compare with it: apt install tshark")
    return subprocess.run((program, *arguments), capture_output=True, check=True).stdout


def theirs(capture: Path) -> list[Description | None]:
    """What tshark says of each frame; None for one that has no mobility header or ICMPv6 message."""
    return [_packet(element) for element in ElementTree.fromstring(run("tshark", "-r", str(capture), "-T", "pdml"))]


def _raw(element: Element) -> str:
    return element.get("value", "")


def _number(element: Element) -> int:
    return int(_raw(element), 16)


def _walk(element: Element) -> Iterator[Element]:
    """The elements of a packet in order, without what an ICMPv6 error quotes."""
    for child in element:
        yield child
        if child.get("name") not in ("mipv6", "icmpv6"):
            yield from _walk(child)


def _packet(packet: Element) -> Description | None:
    headers: list[Description] = []
    for element in _walk(packet):
        match element.get("name"):
            case "ipv6":
                headers.append({"home_address": None, "routing_header_address": None})
            case "ipv6.src":
                headers[-1]["src"] = _raw(element)
            case "ipv6.dst":
                headers[-1]["dst"] = _raw(element)
            case "ipv6.opt.mipv6.home_address":
                headers[-1]["home_address"] = _raw(element)
            case "ipv6.routing.mipv6.home_address":
                headers[-1]["routing_header_address"] = _raw(element)
            case "mipv6":
                return headers[-1] | {"encapsulation": _outer(headers)} | _mobility(element)
            case "icmpv6":
                return headers[-1] | {"encapsulation": _outer(headers)} | _icmp(element)
    return None


def _outer(headers: list[Description]) -> list[tuple[str, str]]:
    return [(header["src"], header["dst"]) for header in headers[:-1]]


def _fields(cls: type, element: Element) -> dict[str, Any]:
    """The fields of a message or option by our names: integers or hexadecimal, a list where there may be several."""
    kinds = {field.name: field.kind for field in cls.LAYOUT.fields}  # type: ignore[attr-defined]
    found: dict[str, Any] = {}
    for name, theirs in FIELDS[cls].items():
        elements = element.findall(f".//field[@name='{theirs}']")
        if kinds[name] == "addresses":
            found[name] = [_raw(one) for one in elements]
        elif elements:
            found[name] = _number(elements[0]) if kinds[name].isdigit() or kinds[name] == "flag" else _raw(elements[0])
        else:
            found[name] = ""
    return found


def _child(element: Element, name: str) -> Element:
    found = element.find(f".//field[@name='{name}']")
    if found is None:
        raise LookupError(f"tshark shows no {name}")
    return found


def _mobility(element: Element) -> Description:
    number = _number(_child(element, "mip6.mhtype"))
    # The fields of the message, apart from those of its options: some names serve both.
    area = element.find("field[@show='Mobility Options']") if number not in _OPTIONS_MISREAD else None
    return {
        "type": number,
        "fields": _fields(_MOBILITY[number], element) if number in _MOBILITY else {},
        "options": [
            option for option in map(_mobility_option, area if area is not None else ()) if option["type"] not in (0, 1)
        ],
        "checksum": _number(_child(element, "mip6.csum")),
    }


def _mobility_option(element: Element) -> Description:
    number = int(_raw(element)[:2], 16)
    if number not in _MOBILITY_OPTIONS:
        return {"type": number, "data": _raw(element)[4:]}
    values = _fields(_MOBILITY_OPTIONS[number], element)
    if number == rfc4285.MobilityMessageAuthentication.TYPE:
        # tshark 4.0 leaves out the last two bytes: it takes the option's length to count type and length.
        values["authenticator"] = _raw(element)[14:]
    if number == rfc4283.MobileNodeIdentifier.TYPE and values["subtype"] != rfc4283.MobileNodeIdentifierSubtype.NAI:
        # tshark 4.0 shows identifiers of subtypes that it knows only.
        values["identifier"] = _raw(element)[6:]
    return {"type": number, **values}


def _icmp(element: Element) -> Description:
    number = _number(_child(element, "icmpv6.type"))
    return {
        "type": number,
        "fields": _fields(_ICMP[number], element) if number in _ICMP else {},
        "options": [_nd_option(option) for option in element.findall("field[@name='icmpv6.opt']")],
        "checksum": _number(_child(element, "icmpv6.checksum")),
        "checksum_ok": _child(element, "icmpv6.checksum.status").get("show") == "1",
    }


def _nd_option(element: Element) -> Description:
    number = _number(_child(element, "icmpv6.opt.type"))
    if number not in _ND_OPTIONS:
        return {"type": number, "data": _raw(_child(element, "icmpv6.data"))}
    return {"type": number, **_fields(_ND_OPTIONS[number], element)}


def ours(packet: Packet, encapsulation: list[tuple[str, str]] | None = None) -> Description:
    """What we say of a decoded mobility or ICMPv6 packet, in tshark's shape."""
    is_mobility = isinstance(packet.payload, MobilityMessage)
    checksum_at = 4 if is_mobility else 2
    message: Any = packet.payload
    description = {
        "src": packet.source.hex(),
        "dst": packet.destination.hex(),
        "home_address": packet.home_address.hex() if packet.home_address else None,
        "routing_header_address": packet.routing_home_address.hex() if packet.routing_home_address else None,
        "encapsulation": encapsulation or [],
        "type": message.TYPE,
        "fields": _our_fields(message),
        "options": [_our_option(option) for option in getattr(message, "options", ())]
        if message.TYPE not in _OPTIONS_MISREAD or not is_mobility
        else [],
        "checksum": int.from_bytes(packet.data[checksum_at : checksum_at + 2]),
    }
    return description if is_mobility else description | {"checksum_ok": packet.checksum_ok}


def _our_fields(message: Any) -> dict[str, Any]:
    values = {name: getattr(message, name) for name in FIELDS[type(message)]}
    return {name: _comparable(value) for name, value in values.items()}


def _comparable(value: Any) -> Any:
    if isinstance(value, tuple):
        return [one.hex() for one in value]
    return value.hex() if isinstance(value, bytes) else int(value)


def _our_option(option: Any) -> Description:
    if isinstance(option, UnknownOption | UnknownNdOption):
        return {"type": option.type, "data": option.data.hex()}
    return {"type": option.TYPE, **_our_fields(option)}
