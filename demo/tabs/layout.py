"""From a layout: the visitor paints where things shall stand, and a control network makes the model draw them there."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Generator, Iterator

import gradio as gr
import torch

from ldm_core.images import to_pil
from ldm_core.training.corpus import silhouette
from ldm_core.training.held_out import WORLDS

from .. import carried, controls, mask_grid, turns
from ..mask_grid import LAYOUT_SIDE
from ..openings import Opening
from ..samples import SEEDS
from ..session import Session, size_text
from ..text_to_image import PREVIEW_EVERY, alt_of
from ..zero_gpu import lent

NAMES = ("prompt", "layout", "control_scale", "seed")  # the endpoint's parameters
MOST = 2.0  # the largest control scale
EXAMPLES = 3
WHAT_IT_IS = (
    "A second, small network reads the layout that you paint, white where things shall stand, and steers the model at every step: "
    "the prompt says what is there, the layout where. The model itself stays as it is."
)
# What is painted stands in the page, not in an input.
WITH_LAYOUT = """(prompt, layout, scale, seed) =>
    [prompt, document.querySelector('#layout .mask').dataset.mask, scale, seed]"""


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's inputs, picture and events; gives what it opens with."""
    examples = examples_of(session.model.spec.world)
    first = examples[0][2] if examples else controls.EXAMPLES[session.model.spec.world][0]
    gr.Markdown(WHAT_IT_IS, elem_classes="what")
    with gr.Row(elem_classes="stage"):
        with gr.Column(elem_classes="ask"):
            prompt = controls.as_given(
                gr.Textbox(first, label="Prompt", info="what stands there", max_lines=3, elem_id="layout-prompt")
            )
            with gr.Row(elem_classes="buttons"):
                go, stop = gr.Button("Draw into it", variant="primary", min_width=96), gr.Button("Stop", min_width=72)
            gr.HTML(mask_grid.layout_html(examples), label="Layout", elem_id="layout")
        with gr.Column(elem_classes="shown"):
            drawn = gr.Image(
                label="Drawn into the layout",
                format="png",
                interactive=False,
                buttons=["download", "fullscreen"],
                height=424,
                elem_id="laid",
                alt_text=alt_of(first),
            )
            status = gr.Markdown(label="Status", elem_id="layout-status", elem_classes="status")
        with gr.Column(elem_classes="more"):
            words = "how much the layout counts: 0 is not at all, 1 as the network was trained"
            scale = controls.as_given(gr.Slider(0, MOST, 1, step=0.1, label="Control scale", info=words))
            seed, layout = controls.seed_row(session), gr.Textbox("", visible=False, label="Layout")
    inputs = [prompt, controls.as_given(layout), scale, seed]
    drawing = gr.on(
        [go.click, prompt.submit],
        handler(session),
        inputs,
        [drawn, status],
        js=WITH_LAYOUT,
        api_name="layout",
        validator=turns.validator(session, functools.partial(problems, session), NAMES),
        **turns.on_device(status),
    )
    drawing.success(lambda text: gr.Image(alt_text=alt_of(text)), prompt, drawn, **controls.QUIET)
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    tab = carried.carry(("seed",), [seed], session.model.spec.reference)
    carried.name_model(session, tab, head)
    frames = functools.partial(draw, session, first, examples[0][1] if examples else "", 1.0, controls.FIRST_SEED)
    return [Opening("layout", [drawn, status], frames)] if examples else []


def examples_of(world: str) -> list[tuple[str, str, str]]:
    """Layouts of drawings that no model has seen, with what stands in them: (name, squares, prompt); none of other worlds."""
    if world not in WORLDS:
        return []
    module, say = WORLDS[world]
    made: list[tuple[str, str, str]] = []
    for seed in itertools.count(SEEDS[0]):
        scene = module.random_scene(seed)
        if len(scene.things) < 2:
            continue
        white = torch.from_numpy(silhouette(module.masks(scene, 4 * LAYOUT_SIDE))) / 255
        made.append((f"drawing {len(made) + 1}", mask_grid.squares_of(white), say(scene, seed)))
        if len(made) == EXAMPLES:
            break
    return made


def problems(session: Session, prompt: object, layout: object, control_scale: object, seed: object) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    spec = session.model.spec
    usual = session.problems(
        prompt,
        "",
        seed,
        spec.steps,
        spec.guidance_scale,
        session.model.scheduler_name,
        "constant",
        size_text((spec.width, spec.height)),
        spec.reference,
    )
    found = {"prompt": usual.get("prompt", usual.get("steps", "")), "seed": usual.get("seed", "")}
    found["layout"] = mask_grid.check_mask(layout, LAYOUT_SIDE)
    real = isinstance(control_scale, int | float) and not isinstance(control_scale, bool)
    if not real or not 0 <= control_scale <= MOST:  # type: ignore[operator]  # no NaN is
        found["control_scale"] = f"The control scale must be a number from 0 to {MOST:g}."
    return {name: words for name, words in found.items() if words}


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /layout."""

    def laid(
        prompt: str,
        layout: str = "",
        control_scale: float = 1.0,
        seed: int = controls.FIRST_SEED,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        found = problems(session, prompt, layout, control_scale, seed)

        def chosen() -> Generator[tuple, None, None]:
            return draw(session, prompt, layout, control_scale, int(seed))

        yield from turns.in_lane(session, found, 2, chosen, request, "Stopped; the last preview stays.")

    return laid


@lent
def draw(session: Session, prompt: str, layout: str, control_scale: float, seed: int) -> Generator[tuple, None, None]:
    """Previews, then the picture with its recipe inside, which names the control and the layout's hash."""
    model, began = session.steered(), time.perf_counter()
    mask = mask_grid.mask_of(layout, model.height, model.width, LAYOUT_SIDE)
    image = (torch.zeros(1, model.height, model.width) if mask is None else mask).expand(3, -1, -1).contiguous()
    for state in model.denoise(prompt, seed, control_images=image, control_scale=control_scale):
        if state.step % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            yield to_pil(model.decode(state.clean)[0]), turns.step_words(state, began)
    picture = to_pil(model.decode(state.latent)[0])
    picture.info.update(model.recipe(prompt, seed, control_image=image, control_scale=control_scale).to_png_text())
    yield picture, f"Seed {seed}, {time.perf_counter() - began:.1f} s. The PNG carries its recipe."
