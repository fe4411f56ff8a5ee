"""Queues that keep their jobs in a store: a thread writes, and what is written is true."""
