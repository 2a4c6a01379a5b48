"""Training at tiny size: losses in closed form, resuming, stopping, and folders that load."""

from __future__ import annotations

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

import ldm_core
from ldm_core.data import everyday
from ldm_core.data.everyday.layout import middles
from ldm_core.loading import load_autoencoder
from ldm_core.training import corpus, losses, reading, train_autoencoder, train_denoiser, trainer
from ldm_core.training import everyday as training_everyday
from ldm_core.training.batch import batch_of, captions_of
from ldm_core.training.config import AUTOENCODERS, DENOISERS, NetworkConfig
from ldm_core.training.tokenizer import build_tokenizer


def test_the_noisy_latent_and_its_targets_give_back_the_clean_one():
    clean, noise, alpha_bar = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.tensor([0.9, 0.5, 0.01])
    scheduler = DDIMScheduler()
    for kind in ("epsilon", "v_prediction"):
        noisy, target = losses.diffusion_target(clean, noise, alpha_bar, kind)
        a, s = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
        rebuilt = (noisy - s * target) / a if kind == "epsilon" else a * noisy - s * target
        torch.testing.assert_close(rebuilt, clean, atol=1e-4, rtol=0)
    t = torch.tensor([10, 500, 900])
    noisy, target = losses.diffusion_target(clean, noise, scheduler.alphas_cumprod[t], "v_prediction")
    torch.testing.assert_close(noisy, scheduler.add_noise(clean, noise, t))
    torch.testing.assert_close(target, scheduler.get_velocity(clean, noise, t))


def test_the_kl_divergence_equals_torchs():
    mean, logvar = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    posterior = torch.distributions.Normal(mean, (logvar / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum((1, 2, 3)).mean()
    torch.testing.assert_close(losses.kl_divergence(mean, logvar), expected)


def test_a_perfect_reconstruction_costs_nothing_and_a_constant_error_only_itself():
    image = torch.rand(1, 3, 8, 8)
    assert losses.reconstruction(image, image, 6.0, 0.5) == 0
    torch.testing.assert_close(losses.reconstruction(image + 0.1, image, 6.0, 0.5), torch.tensor(0.1 + 6 * 0.01))


def test_the_average_follows_its_weights_at_the_stated_rate():
    average, weights = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
    losses.update_ema(average, weights, 0.9, step=10**6)
    assert average["w"].item() == pytest.approx(0.1)


def test_every_word_of_the_corpus_is_one_token_and_any_text_survives():
    tokenizer = build_tokenizer(everyday.known_words(), 16)
    assert all(len(tokenizer(word).input_ids) == 3 for word in everyday.known_words())
    assert tokenizer.decode(tokenizer("a zebra, ünï ☃").input_ids, skip_special_tokens=True) == "a zebra , ünï ☃"
    assert all(build_tokenizer(everyday.known_words(), 16).get_vocab() == tokenizer.get_vocab() for _ in range(3))


def test_the_text_encoder_learns_to_read_captions():
    captions = ["a red house at night", "a blue boat by day", "clouds in a desert", "a pine in the snow at dawn"]
    world = corpus.Corpus(
        np.zeros((4, 1, 1, 3), np.uint8),
        lambda i, k: captions[i],
        everyday.known_words(),
        training_everyday.facts(),
        training_everyday.facts_of,
    )
    texts, stated = reading.captions_of(world, 3)
    told = {fact for fact, value in zip(world.facts, stated[0]) if value}
    assert told == training_everyday.facts_of(texts[0])
    tokenizer = build_tokenizer(world.words, 64)
    encoder = train_denoiser.build(DENOISERS["tiny"], 4, tokenizer, 16)["text_encoder"]
    assert reading.learn_to_read(encoder, tokenizer, world, 1, "cpu") < 0.1
    assert reading.learn_to_read(encoder, tokenizer, world, 150, "cpu", learning_rate=1e-2) > 0.5


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage1")
    assert train_autoencoder.train(AUTOENCODERS["tiny"], folder, "cpu")
    return folder


def test_a_recipe_with_one_variance_trains_an_autoencoder_that_loads(tmp_path):
    config = dataclasses.replace(AUTOENCODERS["tiny"], channels=(8, 16, 32), posterior_std=0.1, layers_per_block=1)
    assert train_autoencoder.train(config, tmp_path, "cpu")
    coder = load_autoencoder(tmp_path / "vae")
    image = torch.rand(1, 3, 24, 40)
    latent = coder.encode(image)
    assert latent.shape == (1, 4, 6, 10) and coder.factor == 4 and coder.decode(latent).shape == image.shape
    mean, logvar = train_autoencoder.posterior(coder.vae, 2 * image - 1, config)
    torch.testing.assert_close(mean * coder.scaling, latent)
    assert logvar.unique().item() == pytest.approx(2 * np.log(0.1))


def test_a_finished_autoencoder_scales_its_latents_to_unit_spread(autoencoder):
    from ldm_core.loading import load_autoencoder

    coder = load_autoencoder(autoencoder / "vae")
    drawn = torch.stack(
        [torch.from_numpy(everyday.draw(everyday.random_scene(seed), 128)).permute(2, 0, 1) for seed in range(8)]
    )
    assert coder.factor == 8 and coder.encode(drawn.float() / 255).std() == pytest.approx(1, rel=0.15)


def test_the_trained_folder_runs_here_and_in_diffusers(autoencoder, tmp_path):
    assert train_denoiser.train(DENOISERS["tiny"], autoencoder / "vae", tmp_path, "cpu")
    model = ldm_core.load(str(tmp_path / "model"), device="cpu", dtype="fp32")
    ours = model.sample("a red house", 3, 2.0, steps=2)
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "model", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "a red house",
        generator=torch.Generator().manual_seed(3),
        guidance_scale=2.0,
        num_inference_steps=2,
        output_type="pt",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert list((tmp_path / "samples").glob("*.png")) and (tmp_path / "log.csv").exists()
    assert all(path.stat().st_size < 9_500_000 for path in tmp_path.glob("model/**/*.safetensors"))


def test_training_can_start_from_a_finished_model(autoencoder, tmp_path, capsys):
    config = DENOISERS["tiny"]
    train_denoiser.train(config, autoencoder / "vae", tmp_path / "first", "cpu")
    still = dataclasses.replace(config, learning_rate=0.0, weight_decay=0.0)
    train_denoiser.train(still, autoencoder / "vae", tmp_path / "second", "cpu", init=tmp_path / "first" / "model")
    first, second = (ldm_core.load(str(tmp_path / name / "model"), dtype="fp32") for name in ("first", "second"))
    assert torch.equal(first.sample("a house", 3, 2.0, steps=1), second.sample("a house", 3, 2.0, steps=1))
    wider = dataclasses.replace(config, channels=(32, 64), heads=(1, 2))
    with pytest.raises(ValueError, match="another shape"):
        train_denoiser.train(wider, autoencoder / "vae", tmp_path / "third", "cpu", init=tmp_path / "first" / "model")


def test_a_recipe_that_pools_captions_can_start_from_a_model_that_does_not(autoencoder, tmp_path):
    plain = dataclasses.replace(DENOISERS["tiny"], pooled_caption=False)
    train_denoiser.train(plain, autoencoder / "vae", tmp_path / "first", "cpu")
    pooling = dataclasses.replace(DENOISERS["tiny"], learning_rate=0.0, weight_decay=0.0)
    train_denoiser.train(pooling, autoencoder / "vae", tmp_path / "second", "cpu", init=tmp_path / "first" / "model")
    first, second = (ldm_core.load(str(tmp_path / name / "model"), dtype="fp32") for name in ("first", "second"))
    assert torch.equal(first.sample("a house", 3, 2.0, steps=1), second.sample("a house", 3, 2.0, steps=1))
    assert "add_embedding.norm2.weight" in second.denoiser.network.state_dict()


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    config = AUTOENCODERS["tiny"]
    assert train_autoencoder.train(config, tmp_path / "whole", "cpu")
    batch_of = train_autoencoder.batch_of

    def stop_at_three(images, config, step):
        if step == 3:
            raise KeyboardInterrupt
        return batch_of(images, config, step)

    monkeypatch.setattr(train_autoencoder, "batch_of", stop_at_three)
    assert not train_autoencoder.train(config, tmp_path / "parts", "cpu")
    monkeypatch.setattr(train_autoencoder, "batch_of", batch_of)
    assert train_autoencoder.train(config, tmp_path / "parts", "cpu")
    whole, parts = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert whole["step"] == parts["step"] == config.steps
    for name, weights in whole["average"].items():
        torch.testing.assert_close(parts["average"][name], weights, atol=1e-5, rtol=1e-3)


def test_a_folder_of_another_recipe_is_refused(autoencoder, capsys):
    recipe = json.loads((autoencoder / "config.json").read_text())
    assert recipe["crop_size"] == 64
    with pytest.raises(SystemExit) as stopped:
        train_autoencoder.main(["scenes-cpu", "--out", str(autoencoder), "--device", "cpu"])
    assert stopped.value.code == 2 and "other settings" in capsys.readouterr().err


def test_the_last_weights_are_shown_once_and_again_by_a_run_that_finds_itself_finished(tmp_path):
    recipe = NetworkConfig(steps=3, learning_rate=0.5)
    shown = []

    def run():
        torch.manual_seed(0)
        network = torch.nn.Linear(2, 1)
        trained = trainer.Trainer(network, recipe, tmp_path, 0, "cpu")
        assert trained.run(
            lambda step: network(torch.ones(1, 2)).square().sum(),
            lambda path: shown.append((path.name, network.weight.tolist(), network.training)),
            every=2,
        )
        return trained.average["weight"].tolist()

    last = run()
    assert [name for name, _, _ in shown] == ["000002.png", "000003.png"]
    assert shown[-1][1:] == (last, False), "averaged, in evaluation mode"
    assert run() == last and shown[2:] == [shown[1]]
    assert (tmp_path / "log.csv").read_text().count("\n") == 2


def test_a_run_goes_on_where_its_recipe_has_gained_or_lost_an_option_that_is_off(tmp_path):
    begin = functools.partial(trainer.Trainer, torch.nn.Linear(2, 1), folder=tmp_path, warmup_steps=0, device="cpu")
    recipe = NetworkConfig(about="earlier")
    begin(config=recipe)
    known = tmp_path / "config.json"
    now = json.loads(known.read_text())
    del now["weight_decay"]  # which is 0
    known.write_text(json.dumps(now | {"rare_blocks": []}))
    begin(config=recipe)
    assert json.loads(known.read_text()) == json.loads(json.dumps(dataclasses.asdict(recipe)))
    known.write_text(json.dumps(now | {"rare_blocks": [1, 2]}))
    with pytest.raises(ValueError, match=r"other settings \(rare_blocks\)"):
        begin(config=recipe)
    with pytest.raises(ValueError, match=r"other settings \(rare_blocks, seed\)"):
        begin(config=dataclasses.replace(recipe, seed=1))


def test_a_batch_depends_on_its_step_alone_and_takes_the_noise_to_the_times_it_draws():
    world = corpus.load_corpus("everyday", 4, 16)
    latents = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(np.float16)
    config = dataclasses.replace(DENOISERS["tiny"], batch=64, caption_dropout=0.5)
    first, again, other = (batch_of(latents, world, config, step, "cpu") for step in (7, 7, 8))
    assert torch.equal(first.noise, again.noise) and first.captions == again.captions
    assert not torch.equal(first.noise, other.noise) and first.pictures != other.pictures
    assert torch.equal(first.clean, torch.from_numpy(latents[first.pictures]).float())
    assert 16 < sum(not caption for caption in first.captions) < 48
    scheduler = DDIMScheduler()
    t, noisy, target = first.noised(scheduler.alphas_cumprod, "uniform", "epsilon")
    torch.testing.assert_close(noisy, scheduler.add_noise(first.clean, first.noise, t))
    assert torch.equal(target, first.noise) and len(t.unique()) > 32
    assert torch.equal(t, again.noised(scheduler.alphas_cumprod, "uniform", "epsilon")[0])


def test_a_share_of_a_batch_shows_two_things_side_by_side_where_the_recipe_asks_for_it():
    world = corpus.load_corpus("everyday", 60, 16)
    related = [{thing.relation for thing in scene.things} for scene in world.scenes]
    assert list(world.beside) == [i for i, each in enumerate(related) if "next to" in each] != []
    usual = dataclasses.replace(DENOISERS["tiny"], batch=40, caption_dropout=0.0)
    pictures, captions = captions_of(world, dataclasses.replace(usual, beside=0.3), 5, 60)
    assert all("next to" in related[i] for i in pictures[:12]) and not all("next to" in related[i] for i in pictures)
    assert pictures[12:] == captions_of(world, usual, 5, 60)[0][12:], "the others are as they were"
    assert captions == [world.caption(i, 5) for i in pictures]
    without = dataclasses.replace(world, beside=())
    assert captions_of(without, dataclasses.replace(usual, beside=0.3), 5, 60) == captions_of(world, usual, 5, 60)


def test_of_a_training_picture_things_are_told_from_left_to_right_by_what_they_are_drawn_as():
    world, turned = corpus.load_corpus("everyday", 400, 16), 0
    for i, scene in enumerate(world.scenes):
        looks, across = everyday.look_names(scene), middles(scene)
        assert world.caption(i, 3) == everyday.caption(scene, i * 1009 + 3, looks=looks, across=across)
        turned += world.caption(i, 3) != everyday.caption(scene, i * 1009 + 3, looks=looks)
    assert turned > 40


def test_a_missing_autoencoder_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        train_denoiser.main(
            ["tiny", "--autoencoder", str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--device", "cpu"]
        )
    assert stopped.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_an_autoencoder_begins_with_the_outer_layers_of_one_of_smaller_f():
    recipe = dataclasses.replace(AUTOENCODERS["photo-f8"], channels=(8, 8, 16), latent_channels=4)
    earlier = train_autoencoder.build(recipe)
    vae = train_autoencoder.build(dataclasses.replace(recipe, channels=(8, 8, 16, 16), latent_channels=8))
    taken = train_autoencoder.take_fitting(vae, earlier)
    torch.testing.assert_close(vae.encoder.conv_in.conv.weight, earlier.encoder.conv_in.conv.weight, rtol=0, atol=0)
    torch.testing.assert_close(vae.decoder.conv_out.conv.weight, earlier.decoder.conv_out.conv.weight, rtol=0, atol=0)
    assert vae.encoder.conv_out.weight.shape != earlier.encoder.conv_out.weight.shape
    assert 10 < taken < len(earlier.state_dict())
