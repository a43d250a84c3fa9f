"""The durable memory: accepted ids, parts waiting for receipts, receipts that came early."""
