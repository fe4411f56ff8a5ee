"""The ``stoat-jobs`` command."""
