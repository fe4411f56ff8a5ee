"""``stoat-jobs postgres``: the tables of the `postgres` backend, managed by hand."""
