"""Many prompts in, one report out. `python -m evaluation.run --help`."""
