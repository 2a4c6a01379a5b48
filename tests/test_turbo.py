"""Few steps: the arithmetic of distillation, its network, and folders of what a model has beside its base."""

from __future__ import annotations

import dataclasses
import json
import shutil
from copy import deepcopy

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

import ldm_core
from ldm_core.adapted import LORA
from ldm_core.denoisers import guidance_embedding
from ldm_core.schedulers import make_scheduler, set_steps
from ldm_core.training import drawer, resize_lora, train_turbo, turbo_lesson
from ldm_core.training.config import TURBOS
from ldm_core.training.resize_lora import resized


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_step_is_that_of_diffusers_ddim_scheduler():
    scheduler = DDIMScheduler(prediction_type="v_prediction", clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(5)
    latent, v, now, then = random(0, 3, 4, 2, 2), random(1, 3, 4, 2, 2), *scheduler.timesteps[1:3]
    expected = scheduler.step(v, now, latent).prev_sample
    bars = (scheduler.alphas_cumprod[t].repeat(3) for t in (now, then))
    torch.testing.assert_close(drawer.ddim_step(latent, v, *bars), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("then", [0.1, 0.7, 1.0])
def test_the_target_is_the_v_whose_one_step_lands_where_it_should(then):
    start, end = random(0, 2, 4, 3, 3), random(1, 2, 4, 3, 3)
    now, then = torch.tensor([0.0, 0.05]), torch.full((2,), then)
    v = turbo_lesson.v_that_lands(start, end, now, then)
    torch.testing.assert_close(drawer.ddim_step(start, v, now, then), end, atol=1e-5, rtol=1e-5)


def test_of_one_step_of_the_teacher_the_target_is_what_the_teacher_said():
    start, v = random(0, 2, 4, 3, 3), random(1, 2, 4, 3, 3)
    now, then = torch.tensor([0.0, 0.3]), torch.tensor([0.2, 0.9])
    end = drawer.ddim_step(start, v, now, then)
    torch.testing.assert_close(turbo_lesson.v_that_lands(start, end, now, then), v, atol=1e-5, rtol=1e-5)


def shape_of(model):
    """Of the latent of a picture at the model's own size."""
    return model.latent_channels, model.height // model.factor, model.width // model.factor


@pytest.fixture(scope="module")
def teacher():
    return ldm_core.load("scenes", device="cpu", dtype="float32", engine="torch")


@pytest.fixture(scope="module")
def student(teacher):
    torch.manual_seed(0)
    return train_turbo.build(TURBOS["tiny"], teacher.denoiser.network)


def test_the_student_begins_by_saying_what_its_teacher_says_at_any_weight_and_little_of_it_learns(teacher, student):
    latent, told = (
        random(0, 2, *shape_of(teacher)),
        random(1, 2, 7, teacher.denoiser.network.config.cross_attention_dim),
    )
    weight = guidance_embedding(torch.tensor([0.0, 3.0]), TURBOS["tiny"].guidance_width)
    with torch.inference_mode():
        # In float64: float32 rounds otherwise on each processor.
        latent, told, weight = (given.double() for given in (latent, told, weight))
        expected = deepcopy(teacher.denoiser.network).double()(latent, 500, encoder_hidden_states=told).sample
        said = deepcopy(student).double()(latent, 500, encoder_hidden_states=told, timestep_cond=weight).sample
    torch.testing.assert_close(said, expected, atol=1e-5, rtol=0)
    learning = {name for name, value in student.named_parameters() if value.requires_grad}
    assert all("lora_" in name or name == "time_embedding.cond_proj.weight" for name in learning)
    count = sum(value.numel() for value in student.parameters() if value.requires_grad)
    assert 0 < count < 0.05 * sum(value.numel() for value in teacher.denoiser.network.parameters())


def lesson_at(teacher, student, weight):
    config = dataclasses.replace(TURBOS["tiny"], drawing_steps=4, least_weight=weight, most_weight=weight)
    return turbo_lesson.TurboLesson(student, teacher, config, "cpu")


def test_the_lesson_is_the_guided_teachers_trajectory(teacher, student):
    """The student, which still says what the teacher says unguided, would be right at w = 1 with as many steps."""
    captions = ["a red house", "", "two cows", "a boat at night"]
    seed = torch.Generator().manual_seed
    assert lesson_at(teacher, student, 1.0).loss(captions, seed(2)).item() == pytest.approx(
        0, abs=1e-3
    )  # bf16 autocast
    lesson = lesson_at(teacher, student, 6.0)
    assert lesson.loss(captions, seed(2)).item() > 0.01
    start, first = random(3, 1, *shape_of(teacher)), torch.tensor([0])
    told, nothing = lesson.words(["a red house"]), lesson.words([""])
    followed = lesson.followed(start, first, torch.tensor([6.0]), told, nothing)
    scheduler = make_scheduler(teacher.scheduler_config, "ddim")
    set_steps(scheduler, 4)
    with torch.inference_mode():
        both = teacher.denoiser.network(
            start.repeat(2, 1, 1, 1), scheduler.timesteps[0], encoder_hidden_states=torch.cat([nothing, told])
        ).sample
    expected = scheduler.step(both[:1] + 6 * (both[1:] - both[:1]), scheduler.timesteps[0], start).prev_sample
    torch.testing.assert_close(followed, expected, atol=0.1, rtol=0)
    assert (followed - expected).square().mean().sqrt() < 0.02


def test_each_row_is_taught_a_step_where_the_student_itself_has_come_by_the_steps_before(teacher, student):
    """At first it goes where the unguided teacher goes, whatever the weight."""
    lesson = lesson_at(teacher, student, 6.0)
    assert lesson.first(4).tolist() == [0, 1, 2, 3] and lesson.first(8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    noise, weights = random(4, 1, *shape_of(teacher)).repeat(4, 1, 1, 1), torch.full((4,), 6.0)
    told = lesson.words(["a red house"]).expand(4, -1, -1)
    walked = lesson.walked(noise, weights, told)
    come = noise[:1]
    for step in range(4):
        torch.testing.assert_close(walked[step : step + 1], come, atol=0.1, rtol=0)
        assert (walked[step] - come[0]).square().mean().sqrt() < 0.02
        unguided = torch.ones(1), told[:1], lesson.words([""])
        come = lesson.followed(come, torch.tensor([step]), *unguided)
    assert (walked[3] - noise[0]).abs().mean() > 0.1, "it has gone somewhere"


@pytest.mark.parametrize(("rows", "begins"), [(2, [0, 2]), (3, [0, 1, 2]), (6, [0, 0, 1, 2, 2, 3])])
def test_rows_that_the_steps_do_not_divide_are_walked_as_far_as_their_place_says(teacher, student, rows, begins):
    lesson = lesson_at(teacher, student, 2.0)
    assert lesson.first(rows).tolist() == begins
    noise, weights = random(4, 1, *shape_of(teacher)).repeat(rows, 1, 1, 1), torch.full((rows,), 2.0)
    told = lesson.words(["a red house"])
    alike = lesson.walked(noise[:1].repeat(4, 1, 1, 1), torch.full((4,), 2.0), told.expand(4, -1, -1))
    walked = lesson.walked(noise, weights, told.expand(rows, -1, -1))
    for row, place in enumerate(begins):
        assert (walked[row] - alike[place]).square().mean().sqrt() < 0.02


def test_steps_that_do_not_divide_the_teachers_are_refused(teacher):
    config = dataclasses.replace(TURBOS["tiny"], drawing_steps=5, teacher_steps=12)
    with pytest.raises(ValueError, match="multiple of drawing_steps.*12 and 5"):
        turbo_lesson.teacher_grid(make_scheduler(teacher.scheduler_config, "ddim"), config, "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two steps of training with a change that shows."""
    out = tmp_path_factory.mktemp("turbo")
    config = dataclasses.replace(TURBOS["tiny"], learning_rate=0.02)
    assert train_turbo.train(config, "scenes", out, "cpu")
    return out / "model"


def test_training_goes_on_from_an_earlier_change(folder, teacher):
    torch.manual_seed(1)
    student = train_turbo.build(TURBOS["tiny"], teacher.denoiser.network)
    train_turbo.start_from(student, folder)
    latent, told = random(0, 2, *shape_of(teacher)), random(1, 2, 7, student.config.cross_attention_dim)
    told_weight = guidance_embedding(torch.tensor([0.0, 3.0]), TURBOS["tiny"].guidance_width)
    with torch.inference_mode():
        said, expected = (
            network(latent, 500, encoder_hidden_states=told, timestep_cond=told_weight).sample
            for network in (student, load(folder).denoiser.network)
        )
    torch.testing.assert_close(said, expected, atol=1e-4, rtol=0)
    assert any(value.requires_grad for name, value in student.named_parameters() if "lora_A" in name)


@pytest.mark.parametrize(
    ("rank", "damage", "message"),
    [
        (3, None, "--init .* has another shape or rank than this recipe builds"),
        (2, "lora.safetensors", "--init .* is no change that train_turbo wrote"),
        (2, "unet/diffusion_pytorch_model.safetensors", "--init .* is no change that train_turbo wrote"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_in_one_line(folder, teacher, tmp_path, rank, damage, message):
    shutil.copytree(folder, tmp_path / "m")
    if damage:
        (tmp_path / "m" / damage).unlink()
    student = train_turbo.build(dataclasses.replace(TURBOS["tiny"], rank=rank), teacher.denoiser.network)
    with pytest.raises(ValueError, match=message) as caught:
        train_turbo.start_from(student, tmp_path / "m")
    assert "\n" not in str(caught.value)


def load(folder):
    return ldm_core.load(str(folder), device="cpu", dtype="float32", engine="torch")


def test_a_folder_of_changes_holds_nothing_of_its_base_and_draws_in_one_row_a_step(folder, teacher):
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not any(name.split("/")[0] in ("vae", "text_encoder", "tokenizer") for name in held)
    said = "".join(path.read_text() for path in folder.rglob("*.json"))
    assert "_name_or_path" not in said, "no folder of this machine"
    model = load(folder)
    assert model.spec.world == teacher.spec.world and (model.height, model.spec.steps) == (teacher.height, 4)
    assert model.spec.guidance_scale == teacher.spec.guidance_scale and model.conditioner.words
    drawn = model.sample("a red house", 3)
    assert model.denoiser.rows == 4
    assert not torch.equal(drawn, model.sample("a red house", 3, 5.0)), "the weight is told to the network"
    assert model.weights != teacher.weights and model.configs != teacher.configs


def test_stable_diffusions_own_pipeline_draws_the_same_from_its_parts(folder):
    model = load(folder)
    # DDIM by another name, which takes steps wherever they lie.
    first_order = model.scheduler_config | {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 1}
    pipeline = StableDiffusionPipeline(
        vae=model.autoencoder.vae,
        text_encoder=model.conditioner.text_encoders[0].network,
        tokenizer=model.conditioner.text_encoders[0].tokenizer,
        unet=model.denoiser.network,
        scheduler=make_scheduler(first_order),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    own = make_scheduler(model.scheduler_config)
    set_steps(own, model.spec.steps)
    given = {"generator": generator, "output_type": "latent", "timesteps": own.timesteps.tolist()}
    latents = pipeline(
        "a red house", model.height, model.width, guidance_scale=3.0, **given
    ).images  # the pipeline decodes with a keyword that AutoencoderDC does not take
    vae = pipeline.vae
    with torch.no_grad():
        theirs = vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5
    torch.testing.assert_close(model.sample("a red house", 3, 3.0), theirs.clamp(0, 1), atol=1e-4, rtol=0)


def test_changes_are_rounded_once_where_the_network_is_in_bfloat16(folder):
    whole = load(folder).denoiser.network.state_dict()
    half = ldm_core.load(str(folder), device="cpu", dtype="bfloat16", engine="torch").denoiser.network.state_dict()
    assert all(torch.equal(value.bfloat16(), half[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"_base": "runs/nothing-there"}, "unknown model|must be an embedded model or a folder"),
        ({"_base": "owner/name"}, "must be an embedded model or a folder"),
        ({"_base": ["scenes"]}, "must be an embedded model or a folder"),
        ({"_base": "fashion"}, "cannot load .*unet"),
    ],
)
def test_a_base_that_is_none_is_one_line(folder, tmp_path, damage, message):
    shutil.copytree(folder, tmp_path / "m")
    path = tmp_path / "m" / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["lora.safetensors", "unet/diffusion_pytorch_model.safetensors", "unet/config.json"])
@pytest.mark.parametrize("how", ["gone", "cut", "other"])
def test_damaged_changes_are_one_line(folder, tmp_path, what, how):
    shutil.copytree(folder, tmp_path / "m")
    path = tmp_path / "m" / what
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:50])
    elif path.suffix == ".json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"time_cond_proj_dim": None}))
    else:
        save_file({name + "x": value for name, value in load_file(path).items()}, path)
    with pytest.raises(ValueError, match=r"unet|lora") as caught:
        load(tmp_path / "m")
    assert "\n" not in str(caught.value) and str(tmp_path / "m") in str(caught.value)


def test_a_change_of_a_change_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m")
    path = tmp_path / "m" / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_base": str(folder)}))
    with pytest.raises(ValueError, match="itself a change"):
        load(tmp_path / "m")


def pair(out, rank, into, kernel=()):
    generator = torch.Generator().manual_seed(out + rank)
    ones = (1,) * len(kernel)
    down = torch.randn(rank, into, *kernel, generator=generator)
    up = torch.randn(out, rank, *ones, generator=generator)
    return {"unet.layer.lora_A.weight": down, "unet.layer.lora_B.weight": up}


def product(weights):
    down, up = (weights[f"unet.layer.lora_{part}.weight"] for part in "AB")
    return up.flatten(1) @ down.flatten(1)


@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_a_change_of_lower_rank_is_the_nearest_there_is(kernel):
    weights = pair(12, 6, 9, kernel)
    values = torch.linalg.svdvals(product(weights))
    for rank in (1, 3, 6, 99):
        found, kept = resized(weights, rank)
        left = (product(found) - product(weights)).square().sum()
        torch.testing.assert_close(left, values[rank:].square().sum(), atol=1e-3, rtol=1e-4)
        assert kept == pytest.approx(float(values[:rank].square().sum() / values.square().sum()), abs=1e-5)
        assert found["unet.layer.lora_A.weight"].shape == (min(rank, 6), 9, *kernel)


def test_a_layer_of_few_outputs_has_no_higher_rank_than_these():
    found, kept = resized(pair(2, 6, 9), 5)
    assert found["unet.layer.lora_B.weight"].shape == (2, 2) and kept == pytest.approx(1)


def test_a_folder_of_changes_made_smaller_draws_nearly_the_same(folder, tmp_path, capsys):
    assert resize_lora.main([str(folder), "--rank", "1", "--out", str(tmp_path / "small")]) == 0
    assert "% of the squared change is kept" in capsys.readouterr().out
    whole, small = load(folder), load(tmp_path / "small")
    assert (tmp_path / "small" / LORA).stat().st_size < 0.8 * (folder / LORA).stat().st_size
    pictures = [model.sample("a red house", 3) for model in (whole, small)]
    assert 0 < (pictures[0] - pictures[1]).abs().mean() < 0.1 and small.spec.steps == whole.spec.steps


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("scenes", "--rank", "1"), "is no change of another model"),
        (("{turbo}", "--rank", "0"), "--rank must be a positive integer, got 0"),
        (("{turbo}", "--rank", "1", "--out", "{turbo}"), "is there already; choose a new folder"),
    ],
)
def test_what_cannot_be_made_smaller_is_said_in_one_line_and_leaves_nothing(folder, tmp_path, capsys, given, words):
    given = [part.format(turbo=folder) for part in given]
    with pytest.raises(SystemExit, match="2"):
        resize_lora.main(["--out", str(tmp_path / "small"), *given])
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not list(tmp_path.iterdir())
