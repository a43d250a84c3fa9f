"""The same drain with other gateways in the place of smsgw: `make peers`."""
