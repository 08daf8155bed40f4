"""RFC 4866: the mobility options of enhanced route optimization, which proves a home address by its cryptography."""

from unwired.wire.mobility import MobilityOption, mobility_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 11   |   Length = 0  |
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(11, "CGA Parameters Request", "RFC 4866, 5.6", "")
class CgaParametersRequest(MobilityOption):
    """Asks a correspondent for its own CGA parameters and signature."""


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 12   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                         CGA Parameters                        .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(12, "CGA Parameters", "RFC 4866, 5.1", "parameters:rest")
class CgaParameters(MobilityOption):
    """Up to 255 bytes of a CGA Parameters structure (RFC 3972), whose parts are in options that directly follow each
    other: all but the last hold 255."""

    parameters: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 13   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                           Signature                           .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(13, "Signature", "RFC 4866, 5.2", "signature:rest")
class Signature(MobilityOption):
    """Made with the private key that belongs to the CGA parameters before it."""

    signature: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 14   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                  Permanent Home Keygen Token                  .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(14, "Permanent Home Keygen Token", "RFC 4866, 5.3", "token:rest")
class PermanentHomeKeygenToken(MobilityOption):
    """Encrypted with the mobile node's public key."""

    token: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 15   |   Length = 0  |
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(15, "Care-of Test Init", "RFC 4866, 5.4", "")
class CareOfTestInitOption(MobilityOption):
    """Asks for a care-of keygen token in the binding acknowledgement."""


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 16   |   Length = 8  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                      Care-of Keygen Token                     +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(16, "Care-of Test", "RFC 4866, 5.5", "keygen_token:8B", align=(8, 6))
class CareOfTestOption(MobilityOption):
    """The care-of keygen token that a care-of test init option asked for."""

    keygen_token: bytes
