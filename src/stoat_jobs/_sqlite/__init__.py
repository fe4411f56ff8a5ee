"""The `sqlite` backend: jobs that survive a restart, in one file and with nothing to install."""
