"""Pure latent operations in closed form."""

from __future__ import annotations

import torch

from ldm_core import latents


def test_slerp_keeps_the_length_of_noise_and_meets_its_ends():
    a, b = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    b = b * (a.flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)).view(-1, 1, 1, 1)
    for amount in (0.0, 0.3, 1.0):
        torch.testing.assert_close(latents.slerp(a, b, amount).flatten(1).norm(dim=1), a.flatten(1).norm(dim=1))
    torch.testing.assert_close(latents.slerp(a, b, 0.0), a)
    torch.testing.assert_close(latents.slerp(a, a, 0.4), a)


def test_lerp_is_the_straight_line():
    a, b = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert torch.equal(latents.lerp(a, b, 0.25), torch.full_like(a, 0.25))


def test_a_preview_recovers_a_linear_decoder_exactly():
    torch.manual_seed(0)
    z, matrix = torch.rand(4, 4, 8, 8), 0.2 * torch.rand(5, 3)
    small = torch.einsum("bchw,cr->brhw", z, matrix[:-1]) + matrix[-1].view(1, 3, 1, 1)
    large = torch.nn.functional.interpolate(small, scale_factor=8)
    fitted = latents.fit_preview(z, large)
    torch.testing.assert_close(fitted, matrix, atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.preview(z, fitted), small, atol=1e-4, rtol=0)


def test_statistics_are_per_channel():
    z = torch.stack([torch.full((2, 2), 3.0), torch.tensor([[0.0, 1], [2, 3]])])[None]
    found = latents.statistics(z)
    assert found["mean"].tolist() == [3, 1.5] and found["min"].tolist() == [3, 0] and found["max"].tolist() == [3, 3]
