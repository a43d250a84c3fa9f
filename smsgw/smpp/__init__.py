"""SMPP: codec (pdu, constants), connection (sans-IO), protocol (Twisted)."""
