"""From a picture: a visitor's own is drawn anew as far as wanted, where it is painted, or larger."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from ldm_core.images import to_pil
from ldm_core.pipeline import LatentDiffusion
from ldm_core.settings import STRENGTHS
from ldm_core.tasks import image_to_image, inpainting, upscaling
from ldm_core.tasks.start import Start
from ldm_core.training.held_out import WORLDS

from .. import carried, controls, mask_grid, turns
from ..openings import Opening
from ..samples import SEEDS, SIDE, sample_row, samples
from ..session import Session, size_text
from ..text_to_image import alt_of
from ..uploads import check_upload, fitted_upload, picture_input
from ..zero_gpu import lent
from .reconstruct import taken

NAMES = ("picture", "prompt", "strength", "seed", "mask", "enlarge")  # the endpoint's parameters
STRENGTH = STRENGTHS[image_to_image.NAME]
FACTOR = 2  # times a side, where it is enlarged
PREVIEW_EVERY = 3  # steps
ADDS = 2  # of the examples: a prompt that leaves room for what the picture shows
WHAT_IT_IS = (
    "Your picture becomes a latent, noise is mixed into it, and the model draws from there: the more noise, the more is new. "
    "Paint squares, and only those are drawn anew while all else stays to the bit. Your picture is shown to nobody and deleted "
    "within half an hour."
)
# What is painted stands in the page, not in an input.
WITH_MASK = """(picture, prompt, strength, seed, mask, enlarge) =>
    [picture, prompt, strength, seed, document.querySelector('#painting .mask').dataset.mask, {enlarge}]"""


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's inputs, picture and events; gives what it opens with."""
    sample, example = sample_file(session), controls.EXAMPLES[session.model.spec.world][ADDS]
    gr.Markdown(WHAT_IT_IS, elem_classes="what")
    with gr.Row(elem_classes="stage"):
        with gr.Column(elem_classes="ask"):
            picture = picture_input(value=sample, label="Your picture", height=200, elem_id="start-picture")
            prompt = controls.as_given(gr.Textbox(example, label="Prompt", info="what it shall become", max_lines=3))
            with gr.Row(elem_classes="buttons"):
                go, larger = (
                    gr.Button("Draw from it", variant="primary", min_width=96),
                    gr.Button("Enlarge it", min_width=96),
                )
                stop = gr.Button("Stop", min_width=72)
        with gr.Column(elem_classes="shown"):
            drawn = gr.Image(
                label="Drawn from it",
                format="png",
                interactive=False,
                buttons=["download", "fullscreen"],
                height=424,
                elem_id="drawn",
                alt_text=alt_of(example),
            )
            status = gr.Markdown(label="Status", elem_id="drawn-status", elem_classes="status")
        with gr.Column(elem_classes="more"):
            sample_row(session, picture)
            gr.HTML(mask_grid.HTML, label="Mask", elem_id="painting")
            words = "0 keeps the picture, 1 forgets it; counts where nothing is painted"
            strength = controls.as_given(gr.Slider(0.05, 1, STRENGTH, step=0.05, label="Strength", info=words))
            seed = controls.seed_row(session)
            mask, enlarge = (
                gr.Textbox("", visible=False, label="Mask"),
                gr.Checkbox(False, visible=False, label="Enlarge"),
            )
    inputs = [picture, prompt, strength, seed, controls.as_given(mask), controls.as_given(enlarge)]
    for button, wish, public in ((go, "false", True), (larger, "true", False)):
        drawing = button.click(
            handler(session),
            inputs,
            [drawn, status],
            js=WITH_MASK.replace("{enlarge}", wish),
            api_name="from_picture" if public else None,
            api_visibility="public" if public else "private",
            validator=turns.validator(session, functools.partial(problems, session), NAMES),
            **turns.on_device(status),
        )
        drawing.success(lambda text: gr.Image(alt_text=alt_of(text)), prompt, drawn, **controls.QUIET)
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    picture.upload(functools.partial(taken, session), picture, [picture, status], **controls.QUIET)
    tab = carried.carry(("prompt", "seed"), [prompt, seed], session.model.spec.reference)
    carried.name_model(session, tab, head)
    if not session.model.spec.embedded:
        return []
    frames = functools.partial(draw, session, sample, example, STRENGTH, controls.FIRST_SEED, "", False)
    return [Opening("from_picture", [drawn, status], frames)]


def sample_file(session: Session) -> str:
    """A picture to begin with: a drawing of the model's own world that nothing was trained on, for others the first sample."""
    world = session.model.spec.world
    if world not in WORLDS:
        return next(iter(samples(session).values()))
    path, drawn = session.scratch.lasting("start.png"), WORLDS[world][0]
    Image.fromarray(drawn.draw(drawn.random_scene(SEEDS[0]), SIDE)).save(path)
    return str(path)


def problems(
    session: Session,
    picture: object,
    prompt: object,
    strength: object,
    seed: object,
    mask: object = "",
    enlarge: object = False,
) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    spec = session.model.spec
    size = (spec.width, spec.height)
    usual = session.problems(
        prompt, "", seed, spec.steps, 1.0, session.model.scheduler_name, "constant", size_text(size), spec.reference
    )
    found = {name: usual.get(name, "") for name in ("prompt", "seed")}
    found["picture"] = check_upload(picture, session.limits.megapixels)
    real = isinstance(strength, int | float) and not isinstance(strength, bool)
    if not real or not 0.05 <= strength <= 1:  # type: ignore[operator]  # no NaN is
        found["strength"] = "The strength must be a number from 0.05 to 1."
    found["mask"] = mask_grid.check_mask(mask)
    if not isinstance(enlarge, bool):
        found["enlarge"] = "Enlarge must be on or off."
    elif not any(found.values()):
        large = FACTOR if enlarge else 1
        found["picture"] = session.too_much((large * size[0], large * size[1]), spec.steps, 1)
    return {name: words for name, words in found.items() if words}


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /from_picture."""

    def from_picture(
        picture: str,
        prompt: str,
        strength: float = STRENGTH,
        seed: int = controls.FIRST_SEED,
        mask: str = "",
        enlarge: bool = False,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        found = problems(session, picture, prompt, strength, seed, mask, enlarge)

        def chosen() -> Generator[tuple, None, None]:
            return draw(session, picture, prompt, strength, int(seed), mask, enlarge)

        yield from turns.in_lane(session, found, 2, chosen, request, "Stopped; the last preview stays.")

    return from_picture


@lent
def draw(
    session: Session, path: str, prompt: str, strength: float, seed: int, painted: str, enlarge: bool
) -> Generator[tuple[Image.Image, str], None, None]:
    """Previews, then the picture with its recipe inside; where squares are painted, all else is the picture's own."""
    model, began = session.model, time.perf_counter()
    image, done = fitted_upload(path, model.width, model.height)
    mask = None if enlarge else mask_grid.mask_of(painted, model.height, model.width)
    start = start_of(model, image, mask, enlarge)
    asked: dict[str, Any] = {} if enlarge or mask is not None else {"strength": strength}
    latent = start.clean
    for state in model.denoise(prompt, seed, start=start, **asked):
        latent = state.latent
        if state.step % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            yield finished(model, image, mask, state.clean), turns.step_words(state, began)
    assert latent is not None, "every start here has a picture"
    picture = finished(model, image, mask, latent)
    picture.info.update(model.recipe(prompt, seed, start=start, **asked).to_png_text())
    prepared = f"Your picture was {', '.join(done)}. " if done else ""
    yield picture, f"{prepared}Seed {seed}, {time.perf_counter() - began:.1f} s. The PNG carries its recipe."


def start_of(model: LatentDiffusion, image: Tensor, mask: Tensor | None, enlarge: bool) -> Start:
    """What the drawing begins from, for an image (3, H, W) and a mask (1, H, W)."""
    if enlarge:
        return upscaling.start_of(model, image, FACTOR)
    return image_to_image.start_of(model, image) if mask is None else inpainting.start_of(model, image, mask)


def finished(model: LatentDiffusion, image: Tensor, mask: Tensor | None, latent: Tensor) -> Image.Image:
    """A latent (1, C, h, w) decoded; outside the mask the image's own pixels."""
    drawn: Any = model.decode(latent)
    return to_pil((drawn if mask is None else inpainting.paste(image, drawn, mask))[0])
