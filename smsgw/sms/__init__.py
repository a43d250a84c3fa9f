"""Text to octets on the air and back: pure, shared by SMPP and modems."""
