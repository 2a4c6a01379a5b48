"""What a guidance rule asks of a model, checked before any network runs; and autoguidance's weaker model, loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .files import without_home
from .predictions import renoises, renoising_names
from .schedulers import EDM, FLOW, kind_of, make_scheduler
from .settings import SamplingSettings

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

SAME_NOISE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type", "trained_betas")
HASH = 12  # hexadecimal digits by which a rule's text names a weaker model's weights


def resolve_rule(model: LatentDiffusion, settings: SamplingSettings) -> SamplingSettings:
    """Whole settings, autoguidance's weaker model named by its weights too; ValueError where the rule does not fit."""
    guider, config = settings.guidance.guider, model.scheduler_config
    rule, kind = guider.rule, kind_of(config)
    if rule.name == "cfg":
        return settings
    if model.denoiser.embeds_guidance:
        raise ValueError(
            f"guidance_rule {rule.name} does not fit {model.spec.name!r}, which takes the guidance weight itself: use cfg"
        )
    if rule.renoises and not renoises(config, make_scheduler(config, settings["scheduler"], settings["shift"])):
        raise ValueError(
            f"guidance_rule {rule.name} is exact with {renoising_names()} of diffusion models, got scheduler "
            f"{settings['scheduler']!r} for {model.spec.name!r}"
        )
    if rule.on_clean and kind == EDM:
        raise ValueError(f"guidance_rule {rule.name} does not fit {model.spec.name!r}, which has EDM's preconditioning")
    if "zero" in guider.parameters and guider["zero"] > 1 and kind != FLOW:
        raise ValueError(
            f"zero={guider['zero']} of guidance_rule {rule.name} is for flow models; {model.spec.name!r} is none"
        )
    return _with_weaker(model, settings) if rule.weaker else settings


def _with_weaker(model: LatentDiffusion, settings: SamplingSettings) -> SamplingSettings:
    """The weaker model's name as other machines may read it, and the beginning of its weights' SHA-256."""
    guider = settings.guidance.guider
    if settings["negative_prompt"]:
        raise ValueError("guidance_rule autoguidance has no unconditional prediction: leave negative_prompt out")
    name = without_home(guider["model"])
    found = weaker_model(model, name).weights[:HASH]
    if guider["weights"] not in ("", found):
        raise ValueError(
            f"guidance_rule autoguidance: {name} holds weights {found}, and {guider['weights']} are asked for"
        )
    return settings.replaced(guidance_rule=guider.replaced(model=name, weights=found).text)


def weaker_model(model: LatentDiffusion, name: str) -> LatentDiffusion:
    """The model that autoguidance names, on the device and in the precision of the one that it guides; ValueError where it
    does not speak of the same latents in the same way."""
    if name not in model.weaker:
        from .loading import load  # which imports the pipeline itself

        made = load(
            str(Path(name).expanduser()) if name.startswith("~") else name,
            str(model.device),
            model.dtype,
            engine=model.engine,
        )
        for what, one, other in (
            ("latent channels", made.latent_channels, model.latent_channels),
            ("pixels a latent value", made.factor, model.factor),
            ("kind", kind_of(made.scheduler_config), kind_of(model.scheduler_config)),
            *((key, made.scheduler_config.get(key), model.scheduler_config.get(key)) for key in SAME_NOISE),
        ):
            if one != other:
                raise ValueError(
                    f"guidance_rule autoguidance: {what} of {name} is {one}, of {model.spec.name!r} {other}"
                )
        model.weaker[name] = made
    return model.weaker[name]
