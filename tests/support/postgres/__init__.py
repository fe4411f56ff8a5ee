"""A real PostgreSQL for tests: a server, a pooler before it, a standby beside it.

Each is made in a folder of its own, listens on a loopback port of its own, and ends with the
process that made it, whatever ends that one: see ``lifeline``.
"""
