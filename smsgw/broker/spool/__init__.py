"""The embedded broker: durable queues in one SQLite file, no server.

A queue is rows in a table; a publish is routed by the topology of the publishing process and stored
with the next group commit; a delivery is a row that one process has read and not deleted yet.

* `broker` is the `Spool` itself: it gathers a turn's publishes and acknowledgements into one commit;
* `reader` is one queue's consumers: reading ahead, handing out, settling;
* `store` is the tables and all the SQL; `routing` the exchanges, pure;
* `expiry` moves on what has expired, and so makes the delay queues;
* `watch` lets a person look on; `bell` wakes other processes; `lock` keeps a queue to one of them.

Any number of processes publish; one at a time consumes a queue, and the next takes over when it ends.
"""

from smsgw.broker.spool.broker import Spool

__all__ = ["Spool"]
