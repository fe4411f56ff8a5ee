"""How the log and the observers learn what happens to jobs."""
