"""The straight line of a message, from the broker to the channel and back."""
