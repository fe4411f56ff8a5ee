"""``stoat-jobs check``: the test kit against an installed backend, promise by promise."""
