"""What is drawn in the place of a word that a model's world does not hold: the nearest one, said aloud, and off by a setting."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import torch

import ldm_core
from demo.prompt_words import prompt_words
from evaluation import run
from ldm_core.recipe import Recipe, recipe_for
from ldm_core.settings import SamplingSettings, from_text, to_text
from ldm_core.substitution import in_own_words

AS_IT_IS = SamplingSettings(substitute=False)


@pytest.fixture(scope="module")
def everyday(tiny_folder, tmp_path_factory):
    """The tiny checkpoint as one of the everyday world."""
    folder = tmp_path_factory.mktemp("everyday") / "model"
    shutil.copytree(tiny_folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_world": "everyday"}))
    return ldm_core.load(str(folder), device="cpu", dtype="float32")


def test_only_a_world_with_a_table_puts_another_word_in_the_place_of_one():
    assert in_own_words("everyday", "a zebra").text == "a horse"
    assert in_own_words("everyday", "a zebra", enabled=False).unknown == ("zebra",)
    for world in ("fashion", ""):
        assert in_own_words(world, "a zebra").text == "a zebra" and not in_own_words(world, "a zebra").describe()


def test_the_picture_of_an_unknown_thing_is_that_of_the_nearest_unless_it_is_switched_off(everyday):
    zebra, horse = (everyday.sample(prompt, 3, steps=2) for prompt in ("a red house, a zebra", "a red house, a horse"))
    assert torch.equal(zebra, horse)
    apart = everyday.sample("a red house, a zebra", 3, steps=2, settings=AS_IT_IS)
    # Both words are unknown to the tiny tokenizer, so that a longer replacement tells whether it was made.
    longer = everyday.sample("a forest", 3, steps=2), everyday.sample("a forest", 3, steps=2, settings=AS_IT_IS)
    assert apart.shape == zebra.shape and not torch.equal(*longer)


def test_a_sweep_may_switch_it_off_and_on(everyday):
    on, off = everyday.sweep("a forest", 3, axes={"substitute": [True, False]}, steps=2)
    torch.testing.assert_close(on, everyday.sample("a forest", 3, steps=2), rtol=0, atol=1e-4)
    torch.testing.assert_close(off, everyday.sample("a forest", 3, steps=2, settings=AS_IT_IS), rtol=0, atol=1e-4)
    assert not torch.allclose(on, off, rtol=0, atol=1e-3)


def test_the_recipe_says_what_was_drawn_and_nothing_where_nothing_was_replaced(everyday, tiny):
    recipe = recipe_for(everyday, "an astronaut riding a horse", 1)
    assert recipe.prompt == "an astronaut riding a horse" and recipe.drawn_prompt == "a man riding a horse"
    assert 'Drawn prompt: "a man riding a horse"' in recipe.to_png_text()["parameters"]
    assert Recipe.from_json(recipe.to_json()) == recipe
    for other in (recipe_for(everyday, "a horse", 1), recipe_for(tiny, "an astronaut", 1)):
        assert "drawn_prompt" not in other.to_json() and "substitute" not in other.to_json()
    off = recipe_for(everyday, "an astronaut", 1, settings=AS_IT_IS)
    assert off.drawn_prompt == "" and Recipe.from_json(off.to_json()).settings.substitute is False


def test_the_setting_is_true_or_false_in_files_and_flags():
    assert from_text("substitute", "false") is False and from_text("substitute", "True") is True
    assert from_text("substitute", to_text(False)) is False
    for wrong in ("maybe", "1"):
        with pytest.raises(ValueError, match="substitute must be true or false"):
            from_text("substitute", wrong)


def test_the_page_says_what_it_draws_instead_and_what_it_does_not_know(everyday, tiny):
    said = prompt_words(everyday, "a zebra and a laptop on the beach", SamplingSettings(), "a cat")
    assert "does not know “zebra”: it draws a horse instead" in said and "“laptop”" in said
    off = prompt_words(everyday, "a zebra", AS_IT_IS, "a cat")
    assert "does not know “zebra”." in off and "instead" not in off
    assert prompt_words(tiny, "a zebra", SamplingSettings(), "a cat") == "This model has never seen: zebra."
    assert prompt_words(tiny, "a red house", SamplingSettings(), "a cat") == ""


def test_a_run_says_it_on_the_terminal_in_its_facts_and_in_its_report(everyday, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("a zebra\na red house\n")
    given = f"--model {everyday.spec.source} --prompts {tmp_path / 'p.txt'} --steps 1 --guidance-scales 1"
    metrics = ["--metrics", "vae_psnr_generated", "--device", "cpu"]
    assert run.main([*given.split(), *metrics, "--out", str(tmp_path / "on")]) == 0
    assert "the nearest is drawn (zebra: horse); --substitute false" in capsys.readouterr().out
    facts = json.loads((tmp_path / "on" / "run.json").read_text())
    assert facts["substituted_words"] == {"zebra": "horse"} and facts["prompts_with_substituted_words"] == 1
    assert "the nearest that it holds was drawn (zebra: horse)" in (tmp_path / "on" / "report.md").read_text()
    assert run.main([*given.split(), *metrics, "--out", str(tmp_path / "off"), "--substitute", "false"]) == 0
    assert "nearest" not in capsys.readouterr().out and "zebra: horse" not in (tmp_path / "off/report.md").read_text()
    assert pd.read_csv(tmp_path / "off" / "images.csv")["prompt"].tolist() == ["a zebra", "a red house"]
