"""Studies of claims: one a file, each run by `python -m evaluation.study NAME`."""
