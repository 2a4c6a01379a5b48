"""Scales, ranges and tiles of the autoencoder."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderTiny

from ldm_core import autoencoder
from ldm_core.autoencoder import Autoencoder


def test_latents_are_scaled_posterior_means(tiny):
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        mean = tiny.autoencoder.vae.encode(images[1:] * 2 - 1).latent_dist.mode()
    torch.testing.assert_close(tiny.encode(images)[1:], mean * 0.5)


def test_a_shift_is_taken_off_before_scaling_and_put_back(tiny):
    images, coder = torch.rand(1, 3, 16, 16), tiny.autoencoder
    plain = coder.encode(images)
    coder.shift = 0.3
    try:
        torch.testing.assert_close(coder.encode(images), plain - 0.3 * coder.scaling)
        torch.testing.assert_close(coder.reconstruct(images), coder.decode(coder.encode(images)))
    finally:
        coder.shift = 0.0


def test_an_image_does_not_depend_on_its_neighbours(tiny):
    latents = torch.randn(3, 4, 8, 8)
    assert torch.equal(tiny.decode(latents)[1:2], tiny.decode(latents[1:2]))


@pytest.mark.parametrize("ratio", [1, 2])
def test_tiles_of_a_pointwise_map_blend_without_a_seam(ratio):
    def enlarge(part):
        return torch.nn.functional.interpolate(part, scale_factor=ratio)

    values = torch.rand(1, 2, 70, 100)
    torch.testing.assert_close(autoencoder.tiled(enlarge, values, 32, ratio), enlarge(values))


def test_a_large_image_in_tiles_is_close_to_the_whole(tiny):
    # Even texture, so that the normalisation inside, which sees one tile at a time, finds the same statistics in each.
    images = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    whole = tiny.reconstruct(images)
    tiles = Autoencoder(tiny.autoencoder.vae, tile=48).reconstruct(images)
    assert tiles.shape == whole.shape and 0 < (tiles - whole).abs().mean() < 0.3 * whole.std()


def test_the_tiny_autoencoder_class_works_too():
    tiny = Autoencoder(
        AutoencoderTiny(
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
        )
    )
    assert tiny.factor == 2 and tiny.reconstruct(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("tile", [1024, 32, 16])
def test_previews_are_nearly_the_pictures_however_many_go_together(tiny, tile):
    latents = torch.randn(3, 4, 16, 16)
    coder = Autoencoder(tiny.autoencoder.vae, tile=tile)  # nine hundred, one, or none of these images at once
    previews, pictures = coder.preview(latents), coder.decode(latents)
    assert previews.shape == pictures.shape and previews.dtype == torch.float32
    assert (previews - pictures).abs().mean() < 2 / 255
    assert torch.equal(previews, pictures) == (tile == 16)
    assert coder.vae.dtype == torch.float32


def test_a_model_in_float32_previews_in_float32(tiny):
    latents = torch.randn(1, 4, 16, 16)
    assert tiny.dtype == torch.float32 and torch.equal(tiny.preview(latents), tiny.decode(latents))


def test_wrong_shapes_are_named(tiny):
    with pytest.raises(ValueError, match="multiples of 2"):
        tiny.encode(torch.rand(1, 3, 15, 16))
    with pytest.raises(ValueError, match="images must be"):
        tiny.encode(torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="latents must be"):
        tiny.decode(torch.rand(1, 3, 8, 8))


def test_latents_that_are_not_finite_never_become_a_black_picture(tiny):
    with pytest.raises(FloatingPointError, match="not finite"):
        tiny.decode(torch.full((1, 4, 8, 8), float("nan")))


def test_autocast_around_it_changes_nothing(tiny):
    latents = torch.randn(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = tiny.decode(latents)
    assert torch.equal(inside, tiny.decode(latents))
