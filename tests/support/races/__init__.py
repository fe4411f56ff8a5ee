"""Races: what happens in one tick, in every order."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.promise")
