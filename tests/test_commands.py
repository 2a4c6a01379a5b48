"""Every command of the README: it starts, and says what it takes."""

from __future__ import annotations

import importlib

import pytest

COMMANDS = (
    "demo.app",
    "demo.timing",
    "evaluation.autoencoders",
    "evaluation.benchmark",
    "evaluation.calibration",
    "evaluation.card",
    "evaluation.compare",
    "evaluation.obedience",
    "evaluation.reference",
    "evaluation.run",
    "evaluation.score",
    "evaluation.study",
    "evaluation.word_maps",
    "evaluation.detectors.train_fashion",
    "evaluation.detectors.train_scenes",
    "evaluation.detectors.train_silhouettes",
    "ldm_core.training.compare",
    "ldm_core.training.held_out",
    "ldm_core.training.train_autoencoder",
    "ldm_core.training.train_control",
    "ldm_core.training.train_denoiser",
    "ldm_core.training.train_text_encoder",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_takes(name, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])
    assert ended.value.code == 0 and f"python -m {name}" in capsys.readouterr().out
