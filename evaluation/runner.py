"""One evaluation run: its folder, and the three acts generate, score, report."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import ldm_core
from ldm_core.files import write_whole
from ldm_core.pipeline import LatentDiffusion
from ldm_core.recipe import Recipe
from ldm_core.registry import find

from . import catalogue
from .bounds import check_amount
from .config import RunConfig, choose_model
from .detectors.detector import Detector, load_detector
from .detectors.feature_cache import flat_images
from .detectors.silhouettes import load_silhouette_reader
from .downloads import NO_DOWNLOADS, Downloads
from .generation import protocol
from .generation.axes import setting_in_words
from .generation.cost import CostLog, Spent, cost_table, estimate
from .generation.generate import check_images, generate, missing
from .generation.jobs import Job, image_set, list_jobs
from .generation.plan import Plan
from .generation.starts import check_recipe, protocol_of_starts, starts_of
from .generation.steering import check_recipe_image, control_images_of, protocol_of_steering
from .instruments import Instruments
from .metrics.autoencoder import Reconstructions
from .metrics.control import ControlDetector
from .metrics.control_score import ControlScore
from .metrics.evidence import Evidence
from .metrics.inside import InsideDetector
from .metrics.inside_score import InsideScore
from .metrics.metric import Metric
from .metrics.scoring import gather_evidence, tabulate
from .metrics.self_check import self_check
from .metrics.start import StartDetector
from .metrics.start_score import StartScore
from .paths import portable
from .processes import Processes
from .prompts import Prompt
from .report import page, tables
from .report.page import Results
from .run_facts import RunFacts, machine
from .run_folder import alone, beside, check_places
from .trackers import track


def default_folder(model: str, config: RunConfig) -> Path:
    """Where a run goes that was given no --out."""
    return Path("runs") / f"{model}-{config.prompts.stem}"


def remade_as(recipe: Recipe, model: LatentDiffusion) -> str:
    """In words, whether a recipe's picture comes out as it was: by its weights and configs, and by what else has changed."""
    now = model.recipe(recipe.prompt, recipe.seed)
    if not recipe.is_of_model(now):
        was, here = (f"{one.weights[:12]}, {one.configs[:12] or 'unknown'}" for one in (recipe, now))
        return (
            f"warning: the recipe is of other weights or configs of {recipe.model} ({was}) than those here ({here}): this will "
            "be another picture"
        )
    if changes := recipe.changes_since(now):
        return f"the recipe's picture was made otherwise ({'; '.join(changes)}): this will be very close, not the same bytes"
    return "the recipe's weights, configs and versions are those here: this will be the same picture, to rounding"


class Run:
    """A run that has been checked and can start: the model is loaded, the folder agrees, the metrics can be computed."""

    def __init__(
        self,
        config: RunConfig,
        prompts: Sequence[Prompt],
        processes: Processes | None = None,
        downloads: Downloads | None = None,
    ):
        self_check()
        check_amount(len(prompts), config.images_per_prompt, len(config.conditions))
        self.config, self.prompts, self.shard = config, prompts, config.shard
        self.processes = dataclasses.replace(processes or Processes(), member=self.shard.name if self.shard else "")
        self.downloads = downloads or Downloads(config.download)
        self.plan = Plan(config, self._load)
        self.model = self.plan.model
        self.out = config.out or default_folder(self.model.spec.name, config)
        self.before = protocol.check_folder(self.out, self.plan.protocol, self.plan.conditions)
        if self.before is not None:
            self.plan.extend(self.before)
        self.protocol = self.plan.protocol
        check_places(self.out, {condition.folder for condition in self.plan.asked})
        given = starts_of(config, prompts), control_images_of(config, prompts)
        self.jobs = list_jobs(prompts, self.plan.asked, config.images_per_prompt, config.seed, *given)
        self.own = self.jobs if self.shard is None else self.shard.part(self.jobs)  # that this command makes
        first = self.jobs[0]
        if config.task is not None and first.start is not None:
            check_recipe(config.task, first.start, first.condition.settings)
        if config.steering is not None and first.control is not None:
            check_recipe_image(config.steering, first.control, first.condition.settings)
        everything = list_jobs(prompts, self.plan.conditions, config.images_per_prompt, config.seed, *given)
        asked = set() if config.report_only else {job.file for job in self.jobs}
        self.scored = [job for job in everything if job.file in asked or (self.out / job.file).exists()]
        if not self.scored:
            raise ValueError(f"--report-only: no image of this run is in {self.out} yet")
        if self.processes.first and self.shard is None:
            check_images([job for job in self.scored if job.file not in asked], self.out, self.sealed)
        self.images = image_set(self.out, self.scored, self.plan.axes)
        self.instruments = self._instruments()
        self.replaced, drawn = self._substitutions()
        self.unseen = self.model.unseen_words(drawn)
        self.with_unseen = sum(bool(self.model.unseen_words([text])) for text in drawn)

    def _substitutions(self) -> tuple[list[tuple[tuple[str, str], ...]], list[str]]:
        """Of each prompt what was replaced by what, and the prompt as the model draws it, under the first condition that
        substitutes, if any does."""
        settings = [condition.settings for condition in self.plan.conditions]
        own = next((one for one in settings if one.substitute), settings[0])
        found = [self.model.in_own_words(prompt.text, own) for prompt in self.prompts]
        return [one.replaced for one in found], [one.text for one in found]

    @property
    def sealed(self) -> bool:
        """Whether every picture in the folder says what it is: not in one that an earlier version began."""
        return "configs" in self.protocol

    def _load(self, name: str | None) -> LatentDiffusion:
        config, device = self.config, self.processes.device(self.config.device)
        name, why = choose_model(name, device)
        if self.processes.first:
            print(f"model: {name} ({why})", flush=True)
        load = functools.partial(
            ldm_core.load,
            name,
            device,
            config.dtype,
            config.vae,
            lora=config.lora,
            config=config.config,
            control=config.control,
            offload=config.offload,
            compiled=config.compile,
        )
        engine = config.engine or self._engine_of_folder(name)
        model = load(engine=engine)
        chosen = self.processes.broadcast(model.engine)  # machines may differ in which is quicker; a run has one
        return model if model.engine == chosen else load(engine=chosen)

    def _engine_of_folder(self, name: str) -> str | None:
        """A run goes on by the engine that it began with, whichever would be chosen today."""
        out = self.config.out or default_folder(find(name).name, self.config)
        facts = RunFacts.read(out) if (out / "run.json").exists() else None
        return facts.protocol.get("engine", "torch") if facts is not None else None

    def _instruments(self) -> Instruments:
        config = self.config
        if self.shard is not None:  # the command that scores has them all
            return Instruments([], self.images, processes=self.processes)
        photographs = config.reference if config.reference is not None and config.reference.is_dir() else None
        names = config.metrics or self._default_metrics()
        downloads = NO_DOWNLOADS if config.dry_run else self.downloads
        metrics, earlier = (catalogue.find(some, self.model.spec.world) for some in (names, self._earlier(names)))
        return Instruments(
            metrics,
            self.images,
            asked_for=config.metrics is not None,
            earlier=earlier,
            reference=config.reference,
            kept=self.out / "references",
            resize=config.resize,
            device=str(self.model.device),
            autoencoder=None if self.plan.several_models else Reconstructions(self.model, photographs, downloads),
            processes=self.processes,
            measure_references=not config.dry_run,
            world=self.model.spec.world,
            downloads=downloads,
            own=self._own_detectors([*metrics, *earlier]),
        )

    def _earlier(self, names: Sequence[str]) -> list[str]:
        """Metrics of the tables that the folder holds, beside those named: a shorter list takes nothing away."""
        held = self.before.metrics if self.before is not None else []
        return [name for name in held if name in catalogue.METRICS and name not in names]

    def _default_metrics(self) -> tuple[str, ...]:
        config = self.config
        began, masked, steered = (
            given is not None for given in (config.init_images, config.masks, config.control_images)
        )
        return catalogue.defaults(self.model.spec.world, started=began, masked=masked, steered=steered)

    def _own_detectors(self, metrics: Sequence[Metric]) -> dict[str, Detector]:
        """What measures pictures against the images that they were made of, by the names that metrics have for it."""
        jobs = {job.prompt.id: job for job in self.jobs}
        starts = {place: job.start for place, job in jobs.items() if job.start is not None}
        controls = {place: job.control for place, job in jobs.items() if job.control is not None}
        began, steered = protocol_of_starts(self.config), protocol_of_steering(self.config)
        texts, found = {place: job.prompt.text for place, job in jobs.items()}, dict[str, Detector]()
        for metric in metrics:
            if isinstance(metric, StartScore) and starts:
                features = load_detector(metric.of, downloads=self.downloads) if metric.of else None
                found[metric.detector] = StartDetector(starts, began, features)
            elif isinstance(metric, ControlScore) and controls:
                found[metric.detector] = ControlDetector(controls, steered, load_silhouette_reader(metric.of))
            elif isinstance(metric, InsideScore) and self.config.masks is not None:
                with contextlib.suppress(ValueError):  # a detector that is lacking is told of by the metric
                    inner = load_detector(metric.of, device=str(self.model.device), downloads=self.downloads)
                    found[metric.detector] = InsideDetector(starts, texts, began, metric.of, inner)
        return found

    def describe(self, absent: Sequence[Job]) -> None:
        """Say what there is to do: `absent` is to be made."""
        asked = len(self.plan.asked)
        of_all = {name: setting_in_words(name, self.plan.asked) for name in ("steps", "scheduler", "width", "height")}
        by = "" if self.model.engine == "torch" else f" by {self.model.engine}"
        of = "scales" if self.plan.axes == ("guidance_scale",) else "conditions"
        print(
            f"{len(self.prompts)} prompts x {self.config.images_per_prompt} seeds x {asked} "
            f"{of} = {len(self.jobs)} images, "
            + ("" if self.shard is None else f"of which {len(self.own)} are --shard {self.shard}: ")
            + f"{len(self.own) - len(absent)} present, {len(absent)} to make"
        )
        print(
            f"{of_all['steps']} steps of {of_all['scheduler']}, {of_all['width']} x {of_all['height']} pixels, "
            f"{self.protocol['dtype']} on {self.model.device}{by}, {torch.get_num_threads()} threads; into {self.out}"
        )
        if self.config.remade is not None:
            print(remade_as(self.config.remade, self.model))
        if self.config.init_images is not None:
            print(
                f"{self.config.task_name} from {self.config.init_images}, strength {setting_in_words('strength', self.plan.asked)}"
            )
        if self.config.control_images is not None:
            scales = setting_in_words("control_scale", self.plan.asked)
            print(f"steered by {self.config.control}, images of {self.config.control_images}, scale {scales}")
        if self.plan.axes != ("guidance_scale",):
            labels = [condition.label for condition in self.plan.conditions]
            print(f"conditions: {'; '.join(labels[:12])}" + ("; ..." if len(labels) > 12 else ""))
        if pairs := [f"{word}: {nearest}" for word, nearest in self.substituted_words.items()]:
            print(
                f"{sum(map(bool, self.replaced))} of {len(self.prompts)} prompts hold words that this model's world does not, "
                f"and the nearest is drawn ({', '.join(pairs[:8])}{', ...' if len(pairs) > 8 else ''}); "
                "--substitute false leaves them as they are"
            )
        if self.unseen:
            some = ", ".join(word for word, _ in self.unseen.most_common(8))
            print(
                f"{self.with_unseen} of {len(self.prompts)} prompts hold words this model has never seen "
                f"({len(self.unseen)} words: {some} ...); it draws what it knows of the rest"
            )

    @property
    def substituted_words(self) -> dict[str, str]:
        """Words of the prompts that the model's world does not hold, and what is drawn in their place."""
        return dict(pair for pairs in self.replaced for pair in pairs)

    def rehearse(self) -> None:
        """Say what a run would do, how long it would take and what it would fill; write nothing."""
        if not self.processes.first:
            return
        absent = missing(self.own, self.out, self.sealed)
        self.describe(absent)
        own = [job for job in absent if job.condition.model in (None, self.plan.asked[0].model)]
        if own:
            seconds, size = estimate(self.model, own, self.config.batch_size)
            each, count = seconds / len(own), len(absent)
            total = datetime.timedelta(seconds=round(each * count / self.processes.count))
            disk = size / len(own) * count / 2**20
            print(f"about {total} to make them, at {each:.2f} s an image, and {disk:.0f} MiB of disk")

    def carry_out(self) -> Results | None:
        """Make what is missing, score all, write the tables and the reports; a shard's images alone are made and no more.

        The results, in the first process.
        """
        place = alone(self.out) if self.shard is None else beside(self.out, self.shard)
        with contextlib.ExitStack() as held:
            self.processes.first_then_all(lambda: held.enter_context(place) if self.processes.first else None)
            facts = self.facts() if self.processes.first else None
            self._draw(facts)
            return self._score(facts) if self.shard is None else None

    def _draw(self, facts: RunFacts | None) -> None:
        """Make what is missing; `facts` are the first process's."""
        absent = self.processes.broadcast(
            missing(self.own, self.out, self.sealed) if facts is not None and not self.config.report_only else []
        )
        if facts is not None:
            self.describe(absent)
            self._write_beforehand(facts)
        for model, jobs in self.plan.by_model(absent):
            generate(model, jobs, self.out, self.config.batch_size, self.processes)
        self.processes.meet()
        if self.shard is not None and self.processes.first:
            print(f"--shard {self.shard} is done; the same command without it scores, once all are")

    def _write_beforehand(self, facts: RunFacts) -> None:
        """run.json, by which other commands know the folder; a shard adds to one that is there what it makes."""
        if self.shard is not None and self.before is not None:
            if all(condition in self.before.conditions for condition in self.plan.conditions):
                return
            told = ("conditions", "axes", "guidance_scales", "image_count")
            facts = dataclasses.replace(self.before, **{name: getattr(facts, name) for name in told})
        facts.write(self.out)

    def _score(self, facts: RunFacts | None) -> Results | None:
        instruments = self.instruments
        evidence = gather_evidence(
            self.images,
            instruments.computed,
            instruments.detectors,
            instruments.references,
            self.out / "features",
            instruments.autoencoder,
            self.processes,
            self._log,
        )
        if evidence is None or facts is None:
            return None
        results = self._results(evidence, facts)
        self._report(results)
        return results

    def _log(self, part: str, count: int, seconds: float, network_seconds: float) -> None:
        CostLog(self.out, self.processes.name).detectors(f"images/{part}", count, seconds, network_seconds)

    def _results(self, evidence: Evidence, facts: RunFacts) -> Results:
        """Every table, from what the detectors extracted."""
        began = time.perf_counter()
        scores = tabulate(evidence, self.instruments.metrics, self.instruments.obstacles)
        flat = [path.name for path in flat_images(scores.images.paths)]
        same = {
            "model": self.model.spec.name,
            "prompts": self.config.prompts.name,
            "guidance_schedule": self.protocol["guidance_schedule"],
        }
        summary = tables.summary_table(scores.rows, same, scores.images)
        reconstructions = self.instruments.autoencoder
        spent = Spent(time.perf_counter() - began, reconstructions.seconds if reconstructions else 0.0)
        cost = cost_table(self.out, self.plan.network_rows, spent, summary)
        facts = dataclasses.replace(facts, flat_images=flat)
        return Results(summary, scores.images.table, scores.differences, cost, facts, scores.images.axes)

    def _report(self, results: Results) -> None:
        """Write the files, and say on the terminal what is in them."""
        for name in ("summary", "images", "differences", "cost"):
            content = getattr(results, name).to_csv(index=False, lineterminator="\n")
            write_whole(self.out / f"{name}.csv", content)
        results.facts.write(self.out)
        write_whole(self.out / "report.md", page.markdown(results))
        write_whole(self.out / "report.html", page.page(self.out, results))
        if self.config.log is not None:
            track(self.config.log, self.out, results.summary)
        print("\n" + tables.as_text(results.summary))
        not_computed = results.summary[results.summary["value"].isna()].drop_duplicates(["metric", "note"])
        for note, rows in not_computed.groupby("note", sort=False):
            print(f"{', '.join(rows['metric'])}: {note}")
        print(*page.measured_as(results.facts), sep="\n")
        print(f"\nreport: {self.out / 'report.html'}")

    def _prompts_sha256(self) -> str:
        """Of the prompt file; of the number of empty prompts where there is none."""
        count = self.config.unconditional
        said = self.config.prompts.read_bytes() if count is None else f"{count} empty prompts".encode()
        return hashlib.sha256(said).hexdigest()

    def facts(self) -> RunFacts:
        """What run.json holds: everything needed to repeat the run."""
        config, model = self.config, self.model
        of_instruments: dict[str, Any] = self.instruments.facts([prompt.text for prompt in self.prompts])
        scales = sorted({condition.guidance_scale for condition in self.plan.conditions})
        return RunFacts(
            model=model.spec.name,
            source=portable(str(model.spec.source)),
            vae=config.vae,
            lora=config.lora,
            control=portable(config.control) if config.control else None,
            prompts=config.prompts.name,
            prompts_sha256=self._prompts_sha256(),
            prompt_count=len(self.prompts),
            image_count=len(self.scored),
            guidance_scales=scales,
            protocol=self.protocol,
            images_per_prompt=config.images_per_prompt,
            processes=self.processes.count,
            batch_size=config.batch_size,
            **of_instruments,
            unseen_words=dict(self.unseen.most_common()),
            prompts_with_unseen_words=self.with_unseen,
            substituted_words=self.substituted_words,
            prompts_with_substituted_words=sum(map(bool, self.replaced)),
            truncated_prompts=sum(model.conditioner.is_truncated(prompt.text) for prompt in self.prompts),
            device=str(model.device),
            command=config.command,
            axes=list(self.plan.axes),
            conditions=self.plan.conditions,
            **machine(),
        )
