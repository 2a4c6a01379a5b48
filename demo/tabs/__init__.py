"""One file a tab: each has `build`, which draws it, and the functions behind its buttons."""
