"""smsgw: an SMS gateway that feeds every delivery channel by exactly its width."""

__version__ = "0.1.0"
