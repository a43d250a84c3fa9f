"""A GSM modem to test against, as nasty as its `Behaviour` says, on a pseudo terminal.

    families   how makes of modems differ, as data
    behaviour  how nasty this one is, as data
    typed      octets to lines, lines to commands
    modem      the machine: busy, prompts, restarts, hangs; no I/O, no clock
    general    commands about modem, SIM and network     messages  those about messages
    card       the SIM's PIN and PUK                     memory    where messages lie
    reception  AT+CNMI and AT+CNMA                       network   what takes, reports and brings messages
    line       octets lost, garbled, late
    letters    inbound messages as TPDUs                 control   what can be done to it while it runs
    station    the pseudo terminal, the timer            command   `smsgw simulate modem`

The TPDU codec is the gateway's (it is checked against others); its AT code is not used here, so that one
error can't hide on both sides.
"""
