"""What the commands share: text that is safe to show, signals, how much a terminal can show."""
