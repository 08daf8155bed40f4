"""RFC 6088: traffic selectors, which say which packets belong to a flow."""

from typing import TypeAlias

from unwired.wire.address import Address
from unwired.wire.families import Choice, Member, UnknownForm, kind_of

TRAFFIC_SELECTORS = Choice("traffic_selector", "traffic selector")
"""By traffic selector format (RFC 6089 section 4.2.1.4)."""


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |A|B|C|D|E|F|G|H|I|J|K|L|M|N|             Reserved              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                    (A) Start Source Address                   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                     (B) End Source Address                    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                 (C) Start Destination Address                 |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  (D) End Destination Address                  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                      (E) Start IPsec SPI                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       (F) End IPsec SPI                       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     (G) Start Source Port     |      (H) End Source Port      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   (I) Start Destination Port  |    (J) End Destination Port   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  (K) Start DS |   (L) End DS  |(M) Start Prot.| (N) End Prot. |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    TRAFFIC_SELECTORS,
    1,
    "IPv4 Binary Traffic Selector",
    "RFC 6088, 3.1",
    "start_source:present end_source:present start_destination:present end_destination:present"
    " start_spi:present end_spi:present start_source_port:present end_source_port:present"
    " start_destination_port:present end_destination_port:present start_ds:present end_ds:present"
    " start_protocol:present end_protocol:present _:2 _:16"
    " start_source:ipv4? end_source:ipv4? start_destination:ipv4? end_destination:ipv4? start_spi:32? end_spi:32?"
    " start_source_port:16? end_source_port:16? start_destination_port:16? end_destination_port:16?"
    " start_ds:8? end_ds:8? start_protocol:8? end_protocol:8?",
)
class Ipv4TrafficSelector(Member):
    """IPv4 packets as the home agent gets them from a correspondent: those for which every field that is there fits.
    ``end`` makes a range and needs ``start``. DS values are in the upper six bits of a byte."""

    start_source: Address | None = None
    end_source: Address | None = None
    start_destination: Address | None = None
    end_destination: Address | None = None
    start_spi: int | None = None
    end_spi: int | None = None
    start_source_port: int | None = None
    end_source_port: int | None = None
    start_destination_port: int | None = None
    end_destination_port: int | None = None
    start_ds: int | None = None
    end_ds: int | None = None
    start_protocol: int | None = None
    end_protocol: int | None = None


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |A|B|C|D|E|F|G|H|I|J|K|L|M|N|O|P|           Reserved            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                    (A) Start Source Address                   +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                     (B) End Source Address                    +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                 (C) Start Destination Address                 +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                  (D) End Destination Address                  +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                      (E) Start IPsec SPI                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       (F) End IPsec SPI                       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                      (G) Start Flow Label                     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       (H) End Flow Label                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     (I) Start Source Port     |      (J) End Source Port      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   (K) Start Destination Port  |    (L) End Destination Port   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  (M) Start TC |   (N) End TC  |  (O) Start NH |   (P) End NH  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    TRAFFIC_SELECTORS,
    2,
    "IPv6 Binary Traffic Selector",
    "RFC 6088, 3.2",
    "start_source:present end_source:present start_destination:present end_destination:present"
    " start_spi:present end_spi:present start_flow_label:present end_flow_label:present"
    " start_source_port:present end_source_port:present start_destination_port:present end_destination_port:present"
    " start_traffic_class:present end_traffic_class:present start_next_header:present end_next_header:present _:16"
    " start_source:address? end_source:address? start_destination:address? end_destination:address?"
    " start_spi:32? end_spi:32? start_flow_label:32? end_flow_label:32?"
    " start_source_port:16? end_source_port:16? start_destination_port:16? end_destination_port:16?"
    " start_traffic_class:8? end_traffic_class:8? start_next_header:8? end_next_header:8?",
)
class Ipv6TrafficSelector(Member):
    """IPv6 packets, likewise. A flow label has 20 bits; a traffic class counts with its upper six."""

    start_source: Address | None = None
    end_source: Address | None = None
    start_destination: Address | None = None
    end_destination: Address | None = None
    start_spi: int | None = None
    end_spi: int | None = None
    start_flow_label: int | None = None
    end_flow_label: int | None = None
    start_source_port: int | None = None
    end_source_port: int | None = None
    start_destination_port: int | None = None
    end_destination_port: int | None = None
    start_traffic_class: int | None = None
    end_traffic_class: int | None = None
    start_next_header: int | None = None
    end_next_header: int | None = None


AnyTrafficSelector: TypeAlias = Ipv4TrafficSelector | Ipv6TrafficSelector | UnknownForm
