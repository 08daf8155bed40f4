"""RFC 5846: binding revocation."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.mobility import MobilityMessage, mobility_message


class RevocationTrigger(IntEnum):
    """Why bindings are revoked (section 5.1); from 128 on for a global revocation."""

    UNSPECIFIED = 0
    ADMINISTRATIVE_REASON = 1
    INTER_MAG_HANDOVER_SAME_ACCESS_TYPE = 2
    INTER_MAG_HANDOVER_DIFFERENT_ACCESS_TYPE = 3
    INTER_MAG_HANDOVER_UNKNOWN = 4
    USER_INITIATED_SESSION_TERMINATION = 5
    ACCESS_NETWORK_SESSION_TERMINATION = 6
    POSSIBLE_OUT_OF_SYNC_BCE_STATE = 7
    PER_PEER_POLICY = 128
    REVOKING_MOBILITY_NODE_LOCAL_POLICY = 129


class RevocationStatus(IntEnum):
    """Status of a binding revocation acknowledgement (section 5.2); below 128 bindings were revoked."""

    SUCCESS = 0
    PARTIAL_SUCCESS = 1
    BINDING_DOES_NOT_EXIST = 128
    IPV4_HOME_ADDRESS_OPTION_REQUIRED = 129
    GLOBAL_REVOCATION_NOT_AUTHORIZED = 130
    REVOKED_MOBILE_NODES_IDENTITY_REQUIRED = 131
    REVOCATION_FAILED_MN_IS_ATTACHED = 132
    REVOCATION_TRIGGER_NOT_SUPPORTED = 133
    REVOCATION_FUNCTION_NOT_SUPPORTED = 134
    PROXY_BINDING_REVOCATION_NOT_SUPPORTED = 135


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  | B.R. Type = 1 |   R. Trigger  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Sequence #          |P|V|G|         Reserved        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    16,
    "Binding Revocation Indication",
    "RFC 5846, 5.1",
    "=1:8 trigger:8 sequence:16 proxy_binding:flag ipv4_only:flag is_global:flag _:13",
)
class BindingRevocationIndication(MobilityMessage):
    """Tells the other end that bindings end: those of a proxy registration (P), only the IPv4 home address's (V), or
    all that the peers have or the options describe (G)."""

    trigger: Annotated[int, RevocationTrigger]
    sequence: int
    proxy_binding: bool = False
    ipv4_only: bool = False
    is_global: bool = False


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  | B.R. Type = 2 |     Status    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Sequence #          |P|V|G|         Reserved        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    16,
    "Binding Revocation Acknowledgement",
    "RFC 5846, 5.2",
    "=2:8 status:8 sequence:16 proxy_binding:flag ipv4_only:flag is_global:flag _:13",
)
class BindingRevocationAcknowledgement(MobilityMessage):
    """Answers a binding revocation indication, with its sequence number and flags."""

    status: Annotated[int, RevocationStatus]
    sequence: int
    proxy_binding: bool = False
    ipv4_only: bool = False
    is_global: bool = False
