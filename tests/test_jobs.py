"""The list of images to make: seeds that conditions share, and file names that tell every image from every other."""

from __future__ import annotations

import hashlib
from pathlib import Path

from evaluation.generation.axes import conditions, parse_sweep, scale_axis
from evaluation.generation.jobs import image_set, list_jobs
from evaluation.prompts import Prompt
from ldm_core.settings import SamplingSettings


def at(*scales):
    return conditions(SamplingSettings(), [scale_axis(scales)])


def test_a_prompt_keeps_its_seed_at_every_scale_and_repeats_get_others():
    jobs = list_jobs([Prompt(0, "a cat"), Prompt(1, "a dog"), Prompt(2, "a cat")], at(1, 8), 2, run_seed=0)
    seeds = {(job.prompt.id, job.seed) for job in jobs}
    assert len(jobs) == 12 and len(seeds) == 6 and len({seed for _, seed in seeds}) == 6
    assert jobs[0].seed == jobs[1].seed == int.from_bytes(hashlib.sha256(b"0\na cat\n0").digest()[:4], "big")
    assert len({job.file for job in jobs}) == 12


def test_a_seed_given_outright_is_the_images_seed():
    assert [job.seed for job in list_jobs([Prompt(0, "a cat", seed=5)], at(1, 2), 1, run_seed=9)] == [5, 5]


def test_scales_that_agree_to_six_digits_are_two_files_and_plain_ones_keep_their_names():
    names = [job.name for job in list_jobs([Prompt(0, "a cat", seed=5)], at(1, 1.0000001, 7.5, 0.1), 1, 0)]
    assert [name.rsplit("_", 1)[1] for name in names] == ["w1.png", "w1.0000001.png", "w7.5.png", "w0.1.png"]


def test_a_wording_changes_what_the_model_is_given_and_not_the_seed_nor_what_is_scored():
    sweep = [scale_axis([2]), parse_sweep("prompt={}|a drawing of {}")]
    jobs = list_jobs([Prompt(0, "a cat")], conditions(SamplingSettings(), sweep), 1, 0)
    assert [job.text for job in jobs] == ["a cat", "a drawing of a cat"]
    assert jobs[0].seed == jobs[1].seed and jobs[0].name != jobs[1].name
    table = image_set(Path("run"), jobs, ("guidance_scale", "wording")).table
    assert table["prompt"].tolist() == ["a cat"] * 2 and table["wording"].tolist() == ["{}", "a drawing of {}"]
