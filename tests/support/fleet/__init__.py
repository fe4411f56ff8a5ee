"""Processes that share a queue, and a ledger outside it of all that they saw.

``worker`` and ``submitter`` are the programs, ``fleet`` starts, kills and follows them from a
test. What they saw stands in one file, a line for each event, so that nothing is lost with the
process; ``verdict`` holds the events against the records. ``proxy`` is a connection that may
fall silent, and ``chaos`` mixes all faults.
"""
