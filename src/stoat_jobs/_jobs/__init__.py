"""What users declare and hold: handlers, job types, references, the context, the protocols."""
