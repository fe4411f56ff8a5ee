"""Queues in the memory of a process: what waits, what runs, what is kept."""
