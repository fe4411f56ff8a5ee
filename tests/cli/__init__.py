"""Tests of the `stoat-jobs` command."""
