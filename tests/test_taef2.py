"""A real pretrained autoencoder through the reconstruction metric: its known PSNR on the Kodak photographs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from torch import nn

from evaluation.autoencoders import measure, summarise
from ldm_core.autoencoder import Autoencoder
from ldm_core.data.photos import photo_files

DATA = os.environ.get("LDM_TEST_DATA")
POOLED = {"encoder": (11, 12, 13), "decoder": (2, 3, 4)}  # places of the blocks with a branch that diffusers lacks


class Pooled(nn.Module):
    """A block with TAEF2's additional branch: block(x + pool(x))."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block
        self.pool = nn.Sequential(
            nn.Conv2d(64, 256, 1, bias=False),
            nn.GroupNorm(4, 256),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 64, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x + self.pool(x))


def load_taef2(folder: Path) -> AutoencoderTiny:
    """The published weights in diffusers' class, every one of them used."""
    vae = AutoencoderTiny(latent_channels=32)
    for part, places in POOLED.items():
        layers = getattr(vae, part).layers
        published = torch.load(folder / f"taef2_{part}.pth", weights_only=True)
        shift = 1 if part == "decoder" else 0  # the published decoder begins with a clamp
        state = {f"{int(key.split('.')[0]) - shift}.{key.split('.', 1)[1]}": value for key, value in published.items()}
        layers.load_state_dict({key: value for key, value in state.items() if ".pool." not in key})
        for place in places:
            layers[place] = Pooled(layers[place])
            layers[place].pool.load_state_dict(
                {key.split(".pool.")[1]: value for key, value in state.items() if key.startswith(f"{place}.pool.")}
            )
    return vae


@pytest.fixture
def every_processor():
    """By itself this is the longest test, and the last file that workers come to."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="LDM_TEST_DATA is not set")
@pytest.mark.usefixtures("every_processor")
def test_taef2_keeps_what_it_is_known_to_keep_of_kodak():
    model = Autoencoder(load_taef2(Path(DATA) / "taef2"))
    summary = summarise(measure(photo_files(Path(DATA) / "kodak"), {"taef2": model})[0]).iloc[0]
    assert summary["n"] == 24 and summary["psnr"] == pytest.approx(30.19, abs=0.02)
    assert summary["values_saved"] == 6 and summary["gain"] > 0
