"""The queues that ship with the package: what waits, what runs, what is kept."""
