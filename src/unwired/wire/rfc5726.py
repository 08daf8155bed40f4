"""RFC 5726: the status codes of pseudo home addresses. The RFC is experimental; no option number was ever assigned."""

from enum import IntEnum


class PseudoHomeAddressStatus(IntEnum):
    """Status of a pseudo home address acknowledgement; below 128 it was accepted."""

    SUCCESS = 0
    FAILURE_REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INCORRECT_PSEUDO_HOME_ADDRESS = 130
    INVALID_PSEUDO_HOME_ADDRESS = 131
    DYNAMIC_PSEUDO_HOME_ADDRESS_ASSIGNMENT_NOT_AVAILABLE = 132
