"""One evaluation run: its folder, and the three acts generate, score, report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import time
from collections.abc import Sequence
from typing import Any

from ldm_core.files import write_whole

from . import catalogue
from .announcement import announcement, forecast
from .bounds import check_amount
from .config import RunConfig
from .detectors.feature_cache import flat_images
from .downloads import NO_DOWNLOADS, Downloads
from .generation import protocol
from .generation.cost import CostLog, Spent, cost_table
from .generation.generate import check_images, generate, missing
from .generation.jobs import Job, image_set, list_jobs
from .generation.plan import Plan
from .generation.starts import check_recipe, starts_of
from .generation.steering import check_recipe_image, control_images_of
from .instruments import Instruments
from .job_detectors import job_detectors
from .metrics.autoencoder import Reconstructions
from .metrics.evidence import Evidence
from .metrics.scoring import gather_evidence, tabulate
from .metrics.self_check import self_check
from .paths import portable
from .processes import Processes
from .prompt_words import PromptWords
from .prompts import Prompt
from .report import page, tables
from .report.page import Results
from .run_facts import RunFacts, machine
from .run_folder import alone, beside, check_places, write_table
from .run_model import default_folder, load_model
from .trackers import track


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
        self.plan = Plan(config, functools.partial(load_model, config=config, processes=self.processes))
        self.model = self.plan.model
        self.out = config.out or default_folder(self.model.spec.name, config)
        self.before = protocol.check_folder(self.out, self.plan.protocol, self.plan.conditions)
        if self.before is not None:
            self.plan.extend(self.before)
        self.protocol = self.plan.protocol
        check_places(self.out, {condition.folder for condition in self.plan.asked})
        given = config.images_per_prompt, config.seed, starts_of(config, prompts), control_images_of(config, prompts)
        self.jobs = list_jobs(prompts, self.plan.asked, *given)
        self.own = self.jobs if self.shard is None else self.shard.part(self.jobs)  # that this command makes
        self._check_recipe()
        self.scored = self._scored(list_jobs(prompts, self.plan.conditions, *given))
        self.images = image_set(self.out, self.scored, self.plan.axes)
        self.instruments = self._instruments()
        self.words = PromptWords.read(self.model, prompts, self.plan.conditions)

    def _check_recipe(self) -> None:
        """ValueError where a recipe's picture was made of other files than those given."""
        first = self.jobs[0]
        if self.config.task is not None and first.start is not None:
            check_recipe(self.config.task, first.start, first.condition.settings)
        if self.config.steering is not None and first.control is not None:
            check_recipe_image(self.config.steering, first.control, first.condition.settings)

    def _scored(self, everything: Sequence[Job]) -> list[Job]:
        """Those asked for, and those of the folder's other conditions whose image is there; ValueError for none."""
        asked = set() if self.config.report_only else {job.file for job in self.jobs}
        found = [job for job in everything if job.file in asked or (self.out / job.file).exists()]
        if not found:
            raise ValueError(f"--report-only: no image of this run is in {self.out} yet")
        if self.processes.first and self.shard is None:
            check_images([job for job in found if job.file not in asked], self.out, self.sealed)
        return found

    @property
    def sealed(self) -> bool:
        """Whether every picture in the folder says what it is: not in one that an earlier version began."""
        return "configs" in self.protocol

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
            own=job_detectors([*metrics, *earlier], config, self.jobs, str(self.model.device), downloads),
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

    def rehearse(self) -> None:
        """Say what a run would do, how long it would take and what it would fill; write nothing."""
        if not self.processes.first:
            return
        absent = missing(self.own, self.out, self.sealed)
        for line in announcement(self, absent):
            print(line)
        for line in forecast(self, absent):
            print(line)

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
            for line in announcement(self, absent):
                print(line)
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
            write_table(self.out / f"{name}.csv", getattr(results, name))
        results.facts.write(self.out)
        write_whole(self.out / "report.md", page.markdown(results))
        write_whole(self.out / "report.html", page.page(self.out, results))
        if self.config.log is not None:
            track(self.config.log, self.out, results.summary)
        print(f"\n{page.terminal(results.summary, results.facts)}")
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
            **self.words.facts(),
            truncated_prompts=sum(model.conditioner.is_truncated(prompt.text) for prompt in self.prompts),
            device=str(model.device),
            command=config.command,
            axes=list(self.plan.axes),
            conditions=self.plan.conditions,
            **machine(),
        )
