"""Telling the log and the observers what happens."""
