"""Simulations with known truth, one kind of estimator a file: what `python -m evaluation.calibration` runs."""
