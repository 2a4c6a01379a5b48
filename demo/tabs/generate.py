"""Text to image: the picture forms before the visitor's eyes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gradio as gr
from PIL import Image

from ldm_core.images import to_pil
from ldm_core.recipe import recipe_for

from .. import controls
from ..session import Session

PREVIEW_EVERY = 3  # steps
SHOWN = 384  # pixels: previews and results are enlarged in the browser, never in the file


def build(session: Session) -> None:
    """The tab's inputs, picture and events."""
    with gr.Row():
        with gr.Column(scale=4):
            prompt = controls.prompt_box(session)
            with gr.Row():
                go, stop = gr.Button("Draw", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
            seed = controls.seed_row(session)
            scale, steps, negative, scheduler = controls.advanced(session)
            gr.Examples(controls.EXAMPLES[session.model.spec.world], prompt, label="Prompts to try")
        with gr.Column(scale=5):
            picture = gr.Image(opening(session), label="Picture", format="png", interactive=False, buttons=["download", "fullscreen"],
                               height=SHOWN + 40, elem_id="picture", alt_text="The generated picture")  # fmt: skip
            status = gr.Markdown(controls.WHAT_IT_DRAWS[session.model.spec.world], elem_id="status")
    inputs = [prompt, negative, seed, steps, scale, scheduler]
    shared = {
        "concurrency_id": "device",
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "show_progress_on": [status],
    }
    drawing = [
        trigger(handler(session), inputs, [picture, status], api_name="generate" if trigger == go.click else None,
                api_visibility="public" if trigger == go.click else "private", validator=controls.validator(session.problems), **shared)
        for trigger in (go.click, prompt.submit)
    ]  # fmt: skip
    stop.click(
        lambda: "Stopped; the last preview stays.", None, status, cancels=drawing, api_visibility="private", queue=False
    )


def opening(session: Session) -> Image.Image | None:
    """The picture that is there when the page opens: the first example, drawn by a model that ships and is quick."""
    model, examples = session.model, controls.EXAMPLES[session.model.spec.world]
    if not model.spec.embedded:
        return None
    *_, (picture, _) = draw(session, examples[0], "", controls.FIRST_SEED, model.spec.steps, model.spec.guidance_scale,
                            model.scheduler_name)  # fmt: skip
    return picture


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /generate."""

    def generate(prompt: str, negative_prompt: str = "", seed: int = 7, steps: int = 20, guidance_scale: float = 2.0,
                 scheduler: str = "ddim") -> Iterator[tuple[Image.Image, str]]:  # fmt: skip
        settings = (prompt, negative_prompt, seed, steps, guidance_scale, scheduler)
        yield from controls.in_lane(session, session.problems(*settings), 2, lambda: draw(
            session, prompt, negative_prompt, int(seed), int(steps), float(guidance_scale), scheduler
        ))  # fmt: skip

    return generate


def draw(session: Session, prompt: str, negative_prompt: str, seed: int, steps: int, guidance_scale: float,
         scheduler: str) -> Iterator[tuple[Image.Image, str]]:  # fmt: skip
    """Previews of the predicted clean latent, then the picture with its recipe inside."""
    model, began = session.model, time.perf_counter()
    settings = {"steps": steps, "scheduler": scheduler, "negative_prompt": negative_prompt}
    for state in model.denoise(prompt, seed, guidance_scale, **settings):
        left = (time.perf_counter() - began) / (state.step + 1) * (state.steps - state.step - 1)
        if state.step % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            yield to_pil(model.decode(state.clean)[0]), f"Step {state.step + 1} of {state.steps}, {left:.1f} s left"
    picture = to_pil(model.decode(state.latent)[0])
    picture.info.update(recipe_for(model, prompt, seed, guidance_scale, **settings).to_png_text())
    unseen = model.unseen_words([prompt])
    words = f" This model has never seen: {', '.join(unseen)}." if unseen else ""
    yield picture, f"Seed {seed}, {time.perf_counter() - began:.1f} s. The PNG carries its recipe.{words}"
