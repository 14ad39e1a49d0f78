"""Which adapter has which address, from what the commands of many systems print. Pure: text in, records out.

Of an output that is damaged, translated or not understood, nothing is believed: an address that was not read is no
address that is not there.
"""
