"""The DHCPv6 options of mobility, as a table: of home agents, prefixes, mobility servers, access networks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dhcpv6Option:
    """One option: the code and name that IANA has for it, and in words what is in it."""

    code: int
    name: str
    content: str
    reference: str


DHCPV6_OPTIONS: dict[int, Dhcpv6Option] = {
    option.code: option
    for option in (
        Dhcpv6Option(25, "OPTION_IA_PD", "the identity of a delegation and its times, then options", "RFC 8415, 21.21"),
        Dhcpv6Option(26, "OPTION_IAPREFIX", "lifetimes, prefix length, prefix, then options", "RFC 8415, 21.22"),
        Dhcpv6Option(49, "OPTION_MIP6_HNIDF", "domain name: the home network that is asked about", "RFC 6610, 3.1"),
        Dhcpv6Option(50, "OPTION_MIP6_VDINF", "options: about the visited network as home network", "RFC 6610, 3.2.1"),
        Dhcpv6Option(54, "OPTION-IPv6_Address-MoS", "sub-options: addresses of mobility servers", "RFC 5678, 4"),
        Dhcpv6Option(55, "OPTION-IPv6_FQDN-MoS", "sub-options: domain names of mobility servers", "RFC 5678, 5"),
        Dhcpv6Option(
            67,
            "OPTION_PD_EXCLUDE",
            "prefix length, 1 to 16 bytes of subnet ID: left out of the delegated prefix",
            "RFC 6603, 4.2",
        ),
        Dhcpv6Option(69, "OPTION_MIP6_IDINF", "options: about the home network that was named", "RFC 6610, 3.2.2"),
        Dhcpv6Option(70, "OPTION_MIP6_UDINF", "options: about any home network", "RFC 6610, 3.2.3"),
        Dhcpv6Option(71, "OPTION_MIP6_HNP", "prefix length, prefix of the home network", "RFC 6610, 3.3"),
        Dhcpv6Option(72, "OPTION_MIP6_HAA", "address of a home agent", "RFC 6610, 3.4"),
        Dhcpv6Option(73, "OPTION_MIP6_HAF", "domain name of a home agent", "RFC 6610, 3.5"),
        Dhcpv6Option(105, "OPTION_ANI_ATT", "access technology type (RFC 5213)", "RFC 7839"),
        Dhcpv6Option(106, "OPTION_ANI_NETWORK_NAME", "network name", "RFC 7839"),
        Dhcpv6Option(107, "OPTION_ANI_AP_NAME", "access point name", "RFC 7839"),
        Dhcpv6Option(108, "OPTION_ANI_AP_BSSID", "access point BSSID", "RFC 7839"),
        Dhcpv6Option(109, "OPTION_ANI_OPERATOR_ID", "operator as private enterprise number", "RFC 7839"),
        Dhcpv6Option(110, "OPTION_ANI_OPERATOR_REALM", "operator as realm", "RFC 7839"),
    )
}
