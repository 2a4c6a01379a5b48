"""Classifier-free guidance in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldm_core import guidance


@pytest.mark.parametrize("schedule", guidance.SCHEDULES)
@pytest.mark.parametrize("w", [0.5, 1, 4, 7.5])
def test_every_schedule_averages_w_over_time(schedule, w):
    times = (np.arange(10_000) + 0.5) / 10_000
    assert np.mean([guidance.weight(w, t, schedule) for t in times]) == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rising_schedules_start_without_guidance_and_end_at_twice(schedule):
    assert guidance.weight(4, 1.0, schedule) == pytest.approx(1) and guidance.weight(4, 0.0, schedule) == pytest.approx(
        7
    )


def test_an_interval_turns_guidance_off_outside_it():
    assert [guidance.weight(4, t, "constant", (0.2, 0.8)) for t in (1.0, 0.8, 0.5, 0.2, 0.1)] == [1, 4, 4, 4, 1]


def test_the_unconditional_scale_stays_unconditional_everywhere():
    assert {guidance.weight(0, t, schedule, (0.2, 0.8)) for t in (0, 0.5, 1) for schedule in guidance.SCHEDULES} == {
        0.0
    }


def test_rows_are_combined_each_with_its_own_weight():
    cond, uncond = torch.full((3, 1, 1, 1), 3.0), torch.full((3, 1, 1, 1), 1.0)
    combined = guidance.combine(cond, uncond, torch.tensor([0.0, 1.0, 4.0]))
    assert combined.flatten().tolist() == [1, 3, 9]


def test_full_rescaling_restores_the_spread_and_none_changes_nothing():
    torch.manual_seed(0)
    cond, guided = torch.randn(2, 4, 8, 8), 5 * torch.randn(2, 4, 8, 8)
    restored = guidance.rescale(guided, cond, 1.0)
    torch.testing.assert_close(restored.flatten(1).std(1), cond.flatten(1).std(1))
    assert torch.equal(guidance.rescale(guided, cond, 0.0), guided)
