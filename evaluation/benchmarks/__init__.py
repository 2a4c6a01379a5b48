"""What things cost in seconds and memory, each against its counterpart in one run."""
