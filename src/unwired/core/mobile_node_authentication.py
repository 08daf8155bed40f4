"""What a mobile node asks of the authentication options in a message from a home agent (RFC 4285 section 5)."""

from unwired.core.notices import Drop
from unwired.core.settings import SecurityAssociation
from unwired.wire.mobility import MobilityMessage
from unwired.wire.rfc4285 import AuthenticationSubtype, MessageId, MobilityMessageAuthentication


def required_options(
    message: MobilityMessage, association: SecurityAssociation
) -> tuple[MessageId, MobilityMessageAuthentication] | Drop:
    """The message identification and the MN-HA option, which comes last and under our SPI; whether its authenticator is
    right is still to be seen."""
    options = message.options_of(MobilityMessageAuthentication)
    message_id = message.option(MessageId)
    if message_id is None or not options or options[-1].subtype != AuthenticationSubtype.MN_HA:
        return Drop.NO_AUTHENTICATION
    if message.options[-1] is not options[-1]:
        return Drop.NO_AUTHENTICATION  # section 5.1: the last option
    if options[-1].spi != association.spi:
        return Drop.NO_SECURITY_ASSOCIATION
    return message_id, options[-1]
