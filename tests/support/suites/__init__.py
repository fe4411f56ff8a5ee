"""Tests as users write them for each plugin; ``test_plugins.py`` runs them on their own."""
