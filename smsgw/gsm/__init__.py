"""GSM modems: TPDUs (3GPP TS 23.040) and AT commands (3GPP TS 27.005 and 27.007)."""
