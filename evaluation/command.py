"""The edge of evaluation's commands: that of all commands, by its name here."""

from __future__ import annotations

from ldm_core.command import EXPECTED, REPORT, STOPPED, carry_out, parser

__all__ = ["EXPECTED", "REPORT", "STOPPED", "carry_out", "parser"]
