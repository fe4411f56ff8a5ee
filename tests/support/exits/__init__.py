"""Processes whose handlers do not stop: they leave all the same."""
