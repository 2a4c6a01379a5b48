"""A window on the core: `python -m demo.app`."""
