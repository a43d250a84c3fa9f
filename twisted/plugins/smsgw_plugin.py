"""Makes `twistd smsgw` exist.

twistd imports this module to list its plugins, so it stays free of everything that costs: the
gateway itself is imported only when it is asked for.
"""

from twisted.application.service import ServiceMaker

smsgw = ServiceMaker(
    "smsgw",
    "smsgw.tap",
    "SMS gateway: from AMQP queues to SMPP and GSM modems, every channel fed by exactly its width.",
    "smsgw",
)
