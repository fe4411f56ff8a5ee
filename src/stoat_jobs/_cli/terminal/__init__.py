"""Shared by the commands: signals, standard output, and what a terminal can display."""
