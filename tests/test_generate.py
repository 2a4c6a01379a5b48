"""Pictures of a run: what they carry, and runs without prompts or with prompts drawn at random."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.generation.axes import conditions, parse_sweep
from evaluation.generation.cost import estimate
from evaluation.generation.jobs import list_jobs
from evaluation.prompts import Prompt, draw_prompts, empty_prompts, load_prompts
from evaluation.run import main
from ldm_core.images import load_png
from ldm_core.recipe import read_png
from ldm_core.sampling import image_seed
from ldm_core.settings import SamplingSettings

FAST = ["--steps", "2", "--device", "cpu", "--dtype", "fp32", "--metrics", "fd_scenes"]


@pytest.fixture
def run(tmp_path, tiny_folder):
    """The command on a tiny checkpoint; the run's folder."""

    def carry_out(name: str, *words: str, fast: tuple[str, ...] = tuple(FAST)):
        assert main(["--model", str(tiny_folder), *fast, *words, "--out", str(tmp_path / name)]) == 0
        return tmp_path / name

    return carry_out


def pictures(out):
    return sorted(out.glob("images/*/*.png"))


def test_a_picture_carries_the_recipe_that_makes_it_again(run, tmp_path):
    (tmp_path / "p.txt").write_text("a red house\ntwo zebras\na boat\n")
    out = run("run", "--prompts", str(tmp_path / "p.txt"), "--guidance-scales", "1,3")
    assert len(pictures(out)) == 6
    path = pictures(out)[3]
    recipe, row = (
        read_png(path),
        pd.read_csv(out / "images.csv").set_index("file").loc[path.relative_to(out).as_posix()],
    )
    made = (recipe.prompt, recipe.seed, recipe.settings["guidance_scale"])
    assert made == (row["prompt"], row["seed"], row["guidance_scale"])
    again = tmp_path / "again"
    assert main(["--recipe", str(path), "--device", "cpu", "--metrics", "clip_scenes", "--out", str(again)]) == 0
    assert np.array_equal(load_png(pictures(again)[0]), load_png(path))


def test_a_model_without_prompts_needs_no_prompt_file(run):
    out = run("run", "--unconditional", "4", "--seed", "3")
    images = pd.read_csv(out / "images.csv")
    assert list(images["seed"]) == [image_seed(3, "", k) for k in range(4)] and images["prompt"].isna().all()
    assert set(images["guidance_scale"]) == {1.0}
    assert json.loads((out / "run.json").read_text())["prompts"] == "unconditional"
    made = {path: path.stat().st_mtime_ns for path in pictures(out)}
    run("run", "--unconditional", "6", "--seed", "3")
    assert len(pictures(out)) == 6 and all(path.stat().st_mtime_ns == when for path, when in made.items())


def test_a_random_draw_is_the_run_seeds_and_keeps_the_files_places(tmp_path):
    (tmp_path / "p.txt").write_text("\n".join(f"prompt {index}" for index in range(50)))
    path, everything = tmp_path / "p.txt", load_prompts(tmp_path / "p.txt")
    chosen = draw_prompts(path, 10, 1)
    assert chosen == draw_prompts(path, 10, 1) != draw_prompts(path, 10, 2)
    assert len(chosen) == 10 and chosen != everything[:10] and set(chosen) <= set(everything)
    assert [prompt.id for prompt in chosen] == sorted(prompt.id for prompt in chosen)
    assert draw_prompts(path, 99, 1) == everything


def test_a_run_of_a_random_draw_holds_the_drawn_prompts(run, tmp_path):
    (tmp_path / "p.txt").write_text("\n".join(f"a red house {index}" for index in range(20)))
    words = ("--prompts", str(tmp_path / "p.txt"), "--limit", "3", "--shuffle", "--seed", "5", "--guidance-scales", "1")
    images = pd.read_csv(run("run", *words) / "images.csv")
    assert list(images["prompt_id"]) == [prompt.id for prompt in draw_prompts(tmp_path / "p.txt", 3, 5)]


def test_an_estimate_draws_with_every_setting_that_the_run_has(tiny):
    own = {
        "steps": 10,
        "guidance_scale": 3.0,
        "guidance_interval": (0.0, 0.6),
        "scheduler": "euler",
        "rows_per_call": 4,
    }
    settings = tiny.resolve(SamplingSettings.of(**own))
    prompts = [Prompt(index, text) for index, text in enumerate(("a red house", "a boat", "clouds"))]
    jobs = list_jobs(prompts, conditions(settings, []), 1, 0)
    before = tiny.network_rows
    seconds, size = estimate(tiny, jobs, 2)
    rows = {steps: tiny.rows_alone(settings.replaced(steps=steps)) for steps in (1, 2, 4)}
    assert tiny.network_rows - before == rows[1] + 2 * rows[2] + 2 * rows[4], "one image, then twice two of them"
    assert rows[4] < 8, "outside the interval a step has one row"
    assert seconds > 0 and size > 3 * 67


def test_an_estimate_counts_pictures_of_other_sizes_by_their_pixels(tiny):
    settings = tiny.resolve(SamplingSettings.of(steps=2, guidance_scale=1.0, rows_per_call=4))
    sizes = conditions(settings, [parse_sweep("height=32,16"), parse_sweep("scheduler=ddim,euler")])
    jobs = list_jobs([Prompt(0, "a red house"), Prompt(1, "a boat")], sizes, 1, 0)
    alone = [job for job in jobs if job.condition.settings["height"] == 32]
    size = estimate(tiny, jobs, 4)[1]
    assert size == round(1.5 * estimate(tiny, alone, 4)[1]), "as many at half the pixels"


def test_empty_prompts_are_numbered():
    assert [(prompt.id, prompt.text) for prompt in empty_prompts(2)] == [(0, ""), (1, "")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unconditional", "3", "--prompts", "p.txt"], "one of the three"),
        (["--unconditional", "0"], "--unconditional must be an integer from 1"),
        (["--unconditional", "3", "--shuffle"], "give --limit too"),
    ],
)
def test_amounts_that_cannot_be_are_one_line(words, said, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2 and said in capsys.readouterr().err
