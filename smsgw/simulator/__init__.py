"""Message centres to test against: the same codec and connection, from the other side."""
