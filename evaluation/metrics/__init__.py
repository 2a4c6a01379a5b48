"""Detectors and the numbers made from what they see."""
