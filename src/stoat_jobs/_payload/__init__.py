"""Arguments and results through JSON and back."""
