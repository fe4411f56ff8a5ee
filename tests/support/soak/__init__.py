"""Soak and chaos: very many jobs that misbehave, and a ledger that misses none of them."""
