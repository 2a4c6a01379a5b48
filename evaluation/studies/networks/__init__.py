"""Networks that studies train themselves, apart from them: `--list` imports every study, and is to wait for no torch."""
