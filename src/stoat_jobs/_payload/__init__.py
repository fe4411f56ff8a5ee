"""How arguments and results are checked, encoded as JSON and decoded again."""
