"""Queues that each break one promise, for the kit and the soak to catch."""
