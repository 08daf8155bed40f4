"""Every mobility message and option that IANA has a number for, byte for byte as its RFC draws it."""

import pytest

from unwired.wire.address import parse_address
from unwired.wire.checksum import filled
from unwired.wire.errors import DecodeError
from unwired.wire.families import FAMILIES, Member, UnknownForm, UnknownSubOption
from unwired.wire.ipv6 import decode_packet
from unwired.wire.mobility import (
    MESSAGES,
    MOBILITY_HEADER,
    OPTIONS,
    MobilityMessage,
    MobilityOption,
    UnknownMessage,
    decode_mobility,
    encode_mobility,
)
from unwired.wire.rfc3963 import MobileNetworkPrefix
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication
from unwired.wire.rfc4866 import (
    CareOfTestInitOption,
    CareOfTestOption,
    CgaParameters,
    CgaParametersRequest,
    PermanentHomeKeygenToken,
    Signature,
)
from unwired.wire.rfc5026 import DnsUpdate
from unwired.wire.rfc5094 import VendorSpecific
from unwired.wire.rfc5096 import ExperimentalMobilityHeader, ExperimentalMobilityOption
from unwired.wire.rfc5149 import ServiceSelection
from unwired.wire.rfc5213 import (
    AccessTechnologyType,
    HandoffIndicator,
    HomeNetworkPrefix,
    LinkLocalAddress,
    MobileNodeLinkLayerIdentifier,
    Timestamp,
    timestamp,
)
from unwired.wire.rfc5568 import (
    FastBindingAcknowledgment,
    FastBindingAuthorizationData,
    FastBindingUpdate,
    FastNeighborAdvertisement,
    HandoverAcknowledge,
    HandoverInitiate,
    MobilityHeaderIpv6Address,
    MobilityHeaderLinkLayerAddress,
)
from unwired.wire.rfc5648 import BindingIdentifier
from unwired.wire.rfc5845 import GreKey, tlv_payload, with_tlv_header
from unwired.wire.rfc5846 import BindingRevocationAcknowledgement, BindingRevocationIndication
from unwired.wire.rfc5847 import Heartbeat, RestartCounter
from unwired.wire.rfc5949 import (
    ContextRequest,
    LocalMobilityAnchorAddress,
    MobileNodeLinkLocalAddressInterfaceIdentifier,
)
from unwired.wire.rfc6058 import TransientBinding
from unwired.wire.rfc6088 import Ipv4TrafficSelector, Ipv6TrafficSelector
from unwired.wire.rfc6089 import BindingReference, FlowIdentification, FlowSummary, TrafficSelector
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingAuthorizationData,
    BindingRefreshAdvice,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    NonceIndices,
)
from unwired.wire.rfc6463 import AlternateIpv4CareOfAddress, LoadInformation, Redirect, RedirectCapability
from unwired.wire.rfc6602 import MobileNodeGroupIdentifier
from unwired.wire.rfc6705 import LocalizedRoutingAcknowledgment, LocalizedRoutingInitiation, MagIpv6Address
from unwired.wire.rfc6757 import (
    AccessNetworkIdentifier,
    AniUpdateTimer,
    CivicAddress,
    CivicLocation,
    GeoLocation,
    MagGroupIdentifier,
    NetworkIdentifier,
    OperatorIdentifier,
    OperatorNumber,
    OperatorRealm,
)
from unwired.wire.rfc6909 import Ipv4TrafficOffloadSelector
from unwired.wire.rfc7028 import (
    DynamicIpMulticastSelector,
    Igmpv1Selection,
    Igmpv2Selection,
    Igmpv3Selection,
    Mldv1Selection,
    Mldv2Selection,
)
from unwired.wire.rfc7077 import UpdateNotification, UpdateNotificationAcknowledgement
from unwired.wire.rfc7109 import (
    FlowBindingAcknowledgement,
    FlowBindingAction,
    FlowBindingIndication,
    TargetCareOfAddress,
)
from unwired.wire.rfc7148 import DelegatedMobileNetworkPrefix
from unwired.wire.rfc7161 import (
    ActiveMulticastSubscriptionIpv4,
    ActiveMulticastSubscriptionIpv6,
    Igmpv1Group,
    Igmpv2Group,
    Igmpv3GroupRecord,
    Mldv1Group,
    Mldv2AddressRecord,
    SubscriptionQuery,
    SubscriptionResponse,
)
from unwired.wire.rfc7222 import (
    AggregateMaximumDownlink,
    AggregateMaximumUplink,
    AllocationRetentionPriority,
    GuaranteedDownlink,
    GuaranteedUplink,
    PerMobileNodeMaximumDownlink,
    PerMobileNodeMaximumUplink,
    PerSessionMaximumDownlink,
    PerSessionMaximumUplink,
    QualityOfService,
    QualityOfServiceTrafficSelector,
    QualityOfServiceVendorSpecific,
)
from unwired.wire.rfc7389 import LmaUserPlaneAddress
from unwired.wire.rfc7411 import (
    Igmpv3Report,
    Igmpv3ReportFromIgmpv2,
    Mldv2Report,
    Mldv2ReportFromMldv1,
    MulticastAcknowledgement,
    MulticastMobility,
)
from unwired.wire.rfc8127 import BindingReRegistrationControl, HeartbeatControl, LmaControlledMagParameters
from unwired.wire.rfc8278 import MagIdentifier, MagMultipathBinding
from unwired.wire.rfc8885 import (
    AnchoredPrefix,
    DlifLinkLayerAddress,
    DlifLinkLocalAddress,
    LocalPrefix,
    PreviousMaar,
    ServingMaar,
)

PREFIX = parse_address("2001:db8:5::")
NODE = parse_address("2001:db8:5::9")
GROUP = parse_address("ff0e::101")
IPV4 = parse_address("192.0.2.7")
IPV4_GROUP = parse_address("233.252.0.1")
P, N, G = PREFIX.hex(), NODE.hex(), GROUP.hex()
V4, V4G = "c0000207", "e9fc0001"


def test_every_number_is_declared() -> None:
    """Pad1 and PadN are not kept as options."""
    assert {cls.TYPE for cls in MESSAGES.values()} == set(range(24))
    assert set(OPTIONS) == set(range(2, 71))
    members = {kind: sorted(family.members) for kind, family in FAMILIES.items() if family.members}
    assert members == {
        "flow_sub_options": [2, 3, 4, 5],
        "traffic_selector": [1, 2],
        "access_network_sub_options": [1, 2, 3, 4, 5, 6],
        "operator": [1, 2],
        "civic_location": [0],
        "igmp_membership": [0x12, 0x16, 0x22],
        "mld_membership": [131, 143],
        "multicast_selection": [0x12, 0x16, 0x22, 131, 143],
        "quality_of_service_attributes": list(range(1, 12)),
        "multicast_report": [1, 2, 3, 4],
        "gateway_parameters": [1, 2],
    }


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (CareOfTestInit(b"cookie01"), "0000 636f6f6b69653031"),
        (CareOfTest(7, b"cookie01", b"token..8"), "0007 636f6f6b69653031 746f6b656e2e2e38"),
        (FastBindingUpdate(9, 60, key_management=True), "0009d000003c"),
        (FastBindingAcknowledgment(131, 9, 60), "83000009003c"),
        (FastNeighborAdvertisement(), "0000"),
        (ExperimentalMobilityHeader(b"0123456789"), "30313233343536373839"),
        (Heartbeat(7, response=True, unsolicited=True), "000300000007"),
        (HandoverInitiate(9, 3, buffer=True, proxy=True, forward=True), "00097003"),
        (HandoverAcknowledge(9, 5, proxy=True), "00094005"),
        (BindingRevocationIndication(128, 9, proxy_binding=True, is_global=True), "01800009a000"),
        (BindingRevocationAcknowledgement(1, 9, ipv4_only=True), "020100094000"),
        (LocalizedRoutingInitiation(9, 0xFFFF), "00090000ffff"),
        (LocalizedRoutingAcknowledgment(129, 9, 60, unsolicited=True), "00098081003c"),
        (UpdateNotification(9, 8, acknowledge=True, retransmission=True), "00090008c000"),
        (UpdateNotificationAcknowledgement(9, 132), "000984000000"),
        (FlowBindingIndication(9, 2, acknowledge=True), "000100090280"),
        (FlowBindingAcknowledgement(9, 129), "000200098100"),
        (SubscriptionQuery(9), "0900"),
        (SubscriptionResponse(9, has_information=True), "0980"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_messages(message: MobilityMessage, data: str) -> None:
    encoded = encode_mobility(message)
    assert encoded[2] == message.TYPE
    assert encoded[6:].startswith(bytes.fromhex(data))
    assert decode_mobility(encoded) == message


V6_SELECTOR = Ipv6TrafficSelector(start_source=NODE, start_flow_label=0xABCDE, end_next_header=17)
MLD_RECORD = Mldv2AddressRecord(4, GROUP, (NODE,))
IGMP_RECORD = Igmpv3GroupRecord(3, IPV4_GROUP, (IPV4,))


@pytest.mark.parametrize(
    ("option", "wire"),
    [
        (BindingRefreshAdvice(5), "0202 0005"),
        (AlternateCareOfAddress(NODE), f"0310 {N}"),
        (NonceIndices(1, 2), "0404 0001 0002"),
        (BindingAuthorizationData(bytes(12)), "050c" + "00" * 12),
        (MobileNetworkPrefix(PREFIX, 48), f"0612 0030 {P}"),
        (MobilityHeaderLinkLayerAddress(b"\2\0\0\0\0\1"), "0707 02 020000000001"),
        (MobileNodeIdentifier(b"mn@example"), "080b 01 6d6e406578616d706c65"),
        (MobilityMessageAuthentication(256, bytes(12)), "0911 01 00000100" + "00" * 12),
        (MessageId(1 << 63), "0a08 8000000000000000"),
        (CgaParametersRequest(), "0b00"),
        (CgaParameters(bytes(255)), "0cff" + "00" * 255),
        (Signature(b"signed"), "0d06 7369676e6564"),
        (PermanentHomeKeygenToken(b"sealed"), "0e06 7365616c6564"),
        (CareOfTestInitOption(), "0f00"),
        (CareOfTestOption(b"token..8"), "1008 746f6b656e2e2e38"),
        (DnsUpdate(b"mn.example", remove=True), "110c 0080 6d6e2e6578616d706c65"),
        (ExperimentalMobilityOption(b"\1\2\3"), "1203 010203"),
        (VendorSpecific(10415, 3, b"\1\2"), "1307 000028af 03 0102"),
        (ServiceSelection(b"ims"), "1403 696d73"),
        (FastBindingAuthorizationData(0, bytes(12)), "1510 00000000" + "00" * 12),
        (HomeNetworkPrefix(PREFIX, 64, off_link=True), f"1612 8040 {P}"),
        (HandoffIndicator(3), "1702 0003"),
        (AccessTechnologyType(4), "1802 0004"),
        (MobileNodeLinkLayerIdentifier(b"\2\0\0\0\0\1"), "1908 0000 020000000001"),
        (LinkLocalAddress(parse_address("fe80::1")), "1a10 fe800000000000000000000000000001"),
        (Timestamp(timestamp(1_700_000_000.5)), "1b08 00006553f1008000"),
        (RestartCounter(3), "1c04 00000003"),
        (GreKey(), "2102 0000"),
        (GreKey(77), "2106 0000 0000004d"),
        (MobilityHeaderIpv6Address(4, PREFIX, 64), f"2212 0440 {P}"),
        (BindingIdentifier(1), "2304 0001 00 00"),
        (BindingIdentifier(2, IPV4, 164, home_and_foreign=True, priority=5), f"2308 0002 a4 85 {V4}"),
        (BindingIdentifier(3, NODE), f"2314 0003 00 00 {N}"),
        (
            ContextRequest((UnknownSubOption(22, b""), UnknownSubOption(19, bytes.fromhex("000028af03")))),
            "280b 0000 1600 1305 000028af03",
        ),
        (LocalMobilityAnchorAddress(NODE), f"2912 0100 {N}"),
        (LocalMobilityAnchorAddress(IPV4), f"2906 0200 {V4}"),
        (MobileNodeLinkLocalAddressInterfaceIdentifier(b"\0\0\0\0\0\0\0\1"), "2a0a 0000 0000000000000001"),
        (TransientBinding(5), "2b02 0105"),
        (FlowSummary((1, 2)), "2c04 0001 0002"),
        (FlowIdentification(1, 10), "2d06 0001 000a 00 00"),
        (RedirectCapability(), "2e02 0000"),
        (Redirect(NODE), f"2f12 8000 {N}"),
        (Redirect(IPV4), f"2f06 4000 {V4}"),
        (LoadInformation(1, 2, 3, 4, 5), "3012 0001 00000002 00000003 00000004 00000005"),
        (AlternateIpv4CareOfAddress(IPV4), f"3104 {V4}"),
        (MobileNodeGroupIdentifier(1), "3206 0100 00000001"),
        (MagIpv6Address(NODE), f"3312 0080 {N}"),
        (DelegatedMobileNetworkPrefix(PREFIX, 48), f"3712 0030 {P}"),
        (DelegatedMobileNetworkPrefix(parse_address("192.0.2.0"), 24), "3706 8018 c0000200"),
        (ActiveMulticastSubscriptionIpv4(Igmpv1Group(IPV4_GROUP)), f"3805 12 {V4G}"),
        (ActiveMulticastSubscriptionIpv4(Igmpv2Group(IPV4_GROUP)), f"3805 16 {V4G}"),
        (ActiveMulticastSubscriptionIpv4(IGMP_RECORD), f"380d 22 0300 0001 {V4G} {V4}"),
        (ActiveMulticastSubscriptionIpv6(Mldv1Group(GROUP)), f"3915 83 00000000 {G}"),
        (ActiveMulticastSubscriptionIpv6(MLD_RECORD), f"3925 8f 0400 0001 {G} {N}"),
        (ActiveMulticastSubscriptionIpv6(UnknownForm(200, b"abc")), "3904 c8 616263"),
        (LmaUserPlaneAddress(), "3b02 0000"),
        (LmaUserPlaneAddress(IPV4), f"3b06 0000 {V4}"),
        (LmaUserPlaneAddress(NODE), f"3b12 0000 {N}"),
        (MagMultipathBinding(4, 9, 1, bulk=True), "3f06 04 09 01 800000"),
        (MagIdentifier(b"mag@example"), "400d 0100 6d6167406578616d706c65"),
        (AnchoredPrefix(PREFIX, 64), f"4112 0040 {P}"),
        (LocalPrefix(PREFIX, 64), f"4212 0040 {P}"),
        (PreviousMaar(NODE, PREFIX, 64), f"4322 0040 {N} {P}"),
        (ServingMaar(NODE), f"4410 {N}"),
        (DlifLinkLocalAddress(NODE), f"4510 {N}"),
        (DlifLinkLayerAddress(b"\2\0\0\0\0\1"), "4608 0000 020000000001"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_options(option: MobilityOption, wire: str) -> None:
    assert option.pack().hex() == bytes.fromhex(wire).hex()
    assert decode_mobility(encode_mobility(BindingUpdate(1, 2, options=(option,)))).options == (option,)


@pytest.mark.parametrize(
    ("option", "wire"),
    [
        (
            FlowIdentification(
                1,
                10,
                (
                    BindingReference((3, 4)),
                    FlowBindingAction(15),
                    TargetCareOfAddress(IPV4),
                    TrafficSelector(Ipv4TrafficSelector(start_source=IPV4, start_source_port=80, end_source_port=89)),
                ),
                status=131,
            ),
            # Two bytes of padding before the target's 4n, four before the selector's 8n.
            f"2d2e 0001 000a 00 83  0204 0003 0004  0402 00 0f  0100  0506 0000 {V4}"
            f"  0102 0000  030e 01 00  83000000 {V4} 0050 0059",
        ),
        (
            FlowIdentification(1, 10, (TrafficSelector(V6_SELECTOR),)),
            f"2d23 0001 000a 00 00  031b 02 00  82010000 {N} 000abcde 11",
        ),
        (
            AccessNetworkIdentifier(
                (
                    NetworkIdentifier(b"ssid", b"ap"),
                    GeoLocation(-(1 << 15), 1),
                    OperatorIdentifier(OperatorRealm(b"example")),
                    CivicLocation(CivicAddress(b"US", (UnknownSubOption(3, b"Boston"),))),
                    MagGroupIdentifier(258),
                    AniUpdateTimer(15),
                )
            ),
            "3433 0109 80 04 73736964 02 6170  0206 ff8000 000001  0308 02 6578616d706c65"
            "  040c 00 00 5553 03 06 426f73746f6e  0502 0102  0602 000f",
        ),
        (AccessNetworkIdentifier((OperatorIdentifier(OperatorNumber(10415)),)), "3405 0303 01 28af"),
        (
            Ipv4TrafficOffloadSelector((TrafficSelector(Ipv4TrafficSelector(start_protocol=6)),), tunnel_selected=True),
            "350d 80000000 0307 01 00 00080000 06",
        ),
        (DynamicIpMulticastSelector(Igmpv1Selection((IPV4_GROUP,)), True), f"3608 12 80 0001 {V4G}"),
        (DynamicIpMulticastSelector(Igmpv2Selection((IPV4_GROUP,))), f"3608 16 00 0001 {V4G}"),
        (DynamicIpMulticastSelector(Igmpv3Selection((IGMP_RECORD,))), f"3610 22 00 0001 0300 0001 {V4G} {V4}"),
        (DynamicIpMulticastSelector(Mldv1Selection((Mldv1Group(GROUP),))), f"3618 83 00 0001 00000000 {G}"),
        (DynamicIpMulticastSelector(Mldv2Selection((MLD_RECORD,))), f"3628 8f 00 0001 0400 0001 {G} {N}"),
        (
            QualityOfService(
                1,
                9,
                46,
                (
                    PerSessionMaximumDownlink(1_000_000, of_service=True),
                    AllocationRetentionPriority(1, 0, 1),
                    GuaranteedUplink(64_000),
                    QualityOfServiceTrafficSelector(Ipv4TrafficSelector(start_ds=0xB8)),
                    QualityOfServiceVendorSpecific(9, 1, b"\7"),
                ),
            ),
            "3a2d 09 b8 01 000000  0306 8000 000f4240  0502 00 11  0906 0000 0000fa00"
            "  0a07 00 01 00200000 b8  0b08 0000 00000009 01 07",
        ),
        (
            QualityOfService(
                0,
                attributes=(
                    PerMobileNodeMaximumDownlink(1),
                    PerMobileNodeMaximumUplink(2),
                    PerSessionMaximumUplink(4, exclude_guaranteed=True),
                    AggregateMaximumDownlink(6),
                    AggregateMaximumUplink(7),
                    GuaranteedDownlink(8),
                ),
            ),
            "3a36 00 00 00 000000  0106 0000 00000001  0206 0000 00000002  0406 4000 00000004"
            "  0606 0000 00000006  0706 0000 00000007  0806 0000 00000008",
        ),
        (MulticastMobility(Igmpv3Report((IGMP_RECORD,))), f"3c04 01 00  0000 0001  0300 0001 {V4G} {V4}"),
        (MulticastMobility(Mldv2ReportFromMldv1((MLD_RECORD,))), f"3c0a 04 00  0000 0001  0400 0001 {G} {N}"),
        (
            MulticastMobility(Mldv2Report((MLD_RECORD,))),
            f"3c0a 02 00  0000 0001  0400 0001 {G} {N}",
        ),
        (
            MulticastMobility(Igmpv3ReportFromIgmpv2((IGMP_RECORD,))),
            f"3c04 03 00  0000 0001  0300 0001 {V4G} {V4}",
        ),
        (MulticastAcknowledgement(2, (IGMP_RECORD,)), f"3d04 00 02  0000 0001  0300 0001 {V4G} {V4}"),
        (MulticastAcknowledgement(2, (MLD_RECORD,)), f"3d0a 00 02  0000 0001  0400 0001 {G} {N}"),
        (MulticastAcknowledgement(1), "3d01 00 01  0000 0000"),
        (
            LmaControlledMagParameters((BindingReRegistrationControl(15, 2, 32), HeartbeatControl(60, 5, 3))),
            "3e10 0106 000f 0002 0020  0206 003c 0005 0003",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_options_with_members(option: MobilityOption, wire: str) -> None:
    assert option.pack().hex() == bytes.fromhex(wire).hex()
    behind = MobileNodeIdentifier(b"mn@example.org")
    message = BindingUpdate(1, 2, options=(option, behind))
    assert decode_mobility(encode_mobility(message)) == message


@pytest.mark.parametrize(
    ("number", "body", "offset", "what"),
    [
        (45, "0001 000a 00 00 03", 20, "without a length"),
        (45, "0001 000a 00 00 0304 01", 21, "ends after its option"),
        (45, "0001 000a 00 00 0203 000100", 24, "odd number"),
        (45, "0001 000a 00 00 0307 0100 80000000 c0", 27, "ends inside start_source"),
        (35, "0001 00 00 c00002", 17, "address of 3 bytes"),
        (33, "0000 00", 16, "number of 1 bytes"),
        (52, "0105 80 09 73736964", 16, "ends inside network_name"),
        (54, "12 80 0002 e9fc0001", 16, "ends inside groups"),
        (54, "8f 80 0002 04000000" + G, 16, "another number of records"),
        (54, "8f 80 0001 04010000" + G, 37, "ends after its list"),
        (60, "02 00 0000 0001", 18, "another number of records"),
        (61, "00 02 0000 0001 0400 0009", 19, "4 bytes where 8 are needed"),
    ],
)
def test_malformed_members(number: int, body: str, offset: int, what: str) -> None:
    """Offsets count from the mobility header's first byte; the option starts at byte 12, its fields at 14."""
    data = bytes.fromhex(body)
    length = (len(data) - 2) // 4 if number in (60, 61) else len(data)
    option = bytes((number, length)) + data
    header = bytes.fromhex("3b000500000000010000 0002") + option
    header += bytes(-len(header) % 8)
    with pytest.raises(DecodeError, match=what) as caught:
        decode_mobility(header[:1] + bytes((len(header) // 8 - 1,)) + header[2:])
    assert caught.value.offset == offset


def test_unknown_members_are_kept() -> None:
    option = FlowIdentification(1, 10, (UnknownSubOption(99, b"abc"), BindingReference((3,))))
    assert decode_mobility(encode_mobility(BindingUpdate(1, 2, options=(option,)))).options == (option,)
    assert decode_mobility(bytes.fromhex("3b010a".replace("0a", "10") + "000000" + "09000001000001020000")) == (
        UnknownMessage(16, bytes.fromhex("09000001000001020000"))
    )


def test_padding_between_sub_options_is_skipped() -> None:
    wire = "3b03050000000001000000022d12 0001 000a 0000 00 0102aaaa 0204 0003 0004 00"
    decoded = decode_mobility(bytes.fromhex(bytes.fromhex(wire).hex()))
    assert decoded.options == (FlowIdentification(1, 10, (BindingReference((3, 4)),)),)


def test_auxiliary_data_of_records_are_skipped() -> None:
    """RFC 3810 section 5.2.10."""
    record = f"0401 0000 {G} 6175782e"
    option = bytes.fromhex(f"3634 8f 00 0002 {record} {record}")
    header = bytes.fromhex("3b0805000000000100000002") + option + bytes.fromhex("0104 00000000")
    bare = Mldv2AddressRecord(4, GROUP)
    assert decode_mobility(header).options == (DynamicIpMulticastSelector(Mldv2Selection((bare, bare))),)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (FlowIdentification(1, 10, (TrafficSelector(V6_SELECTOR),) * 9), "cannot hold"),
        (TargetCareOfAddress(b"short"), "16 bytes"),
        (GeoLocation(1 << 23, 0), "latitude does not fit"),
        (GreKey(1 << 32), "32 bits"),
        (NetworkIdentifier(bytes(256)), "length of network_name"),
        (DynamicIpMulticastSelector(Mldv2Selection((IGMP_RECORD,))), "in a list of Mldv2AddressRecord"),  # type: ignore[arg-type]
        (MulticastMobility(UnknownForm(9, b"abc")), "multiple of 4"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_the_wire_cannot_hold(option: MobilityOption | Member, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        option.pack()


def test_header_length_rounded_down() -> None:
    """OpenAirInterface's gateway counts whole units of 8 bytes, and its last option reaches beyond them."""
    options = (HandoffIndicator(4), AccessTechnologyType(4))
    whole = encode_mobility(BindingUpdate(1, 2, True, proxy_registration=True, options=options))
    sent = bytes((59, 1)) + whole[2:20]
    assert decode_mobility(sent).options == options
    packet = decode_packet(
        bytes.fromhex("60000000 0014 87 40") + NODE + PREFIX + filled(NODE, PREFIX, MOBILITY_HEADER, sent, 4)
    )
    assert packet.checksum_ok
    assert packet.payload == decode_mobility(whole)


def test_tlv_header() -> None:
    """RFC 5845 section 7.2; IP itself is told by its first four bits."""
    assert with_tlv_header(41, b"abc").hex() == "00290003" + b"abc".hex()
    assert tlv_payload(b"xx" + with_tlv_header(47, b"abc"), 2) == (47, 6)
    assert tlv_payload(bytes.fromhex("45000014"), 0) is None
    assert tlv_payload(b"\0\0\0", 0) is None
    with pytest.raises(ValueError, match="does not fit"):
        with_tlv_header(41, bytes(1 << 16))
