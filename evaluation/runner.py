"""One evaluation run: its folder, its protocol, and the three acts generate, score, report."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch

import ldm_core
from ldm_core import arguments, guidance
from ldm_core.sampling import make_scheduler, time_of

from . import reconstruct, report, score
from .config import RunConfig, choose_model
from .cost import cost_table, estimate
from .differences import differences
from .generate import generate, missing
from .jobs import Job, list_jobs
from .look import cache_file, flat_images, identity, job_table, look
from .metrics.catalogue import AUTOENCODER, DEFAULTS, DISTANCE, IMAGE, METRICS, Metric, detectors_of
from .metrics.detectors import Detector, load_detector
from .processes import Processes
from .prompts import Prompt
from .reference import Reference, load_reference
from .self_check import self_check

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "pandas", "scipy", "pillow")


class Run:
    """A run that has been checked and can start: the model is loaded, the folder agrees, the metrics can be computed."""

    def __init__(self, config: RunConfig, prompts: Sequence[Prompt], processes: Processes | None = None):
        self_check()
        self.config, self.prompts, self.processes = config, prompts, processes or Processes()
        device = self.processes.device(config.device)
        name, why = choose_model(config.model, device)
        self._say(f"model: {name} ({why})")
        self.model = ldm_core.load(name, device, config.dtype, config.vae)
        self.metrics = config.metrics or DEFAULTS[self.model.spec.world]
        self.protocol = self._protocol()
        self.out = config.out or Path("runs") / f"{self.model.spec.name}-{config.prompts.stem}"
        self._check_folder()
        fingerprint = hashlib.sha256(json.dumps(self.protocol, sort_keys=True).encode()).hexdigest()[:12]
        self.images = self.out / "images" / fingerprint
        self.jobs = list_jobs(prompts, config.guidance_scales, config.images_per_prompt, config.seed)
        self.detectors: dict[str, Detector] = {}
        self.references: dict[str, Reference] = {}
        self.obstacles: dict[str, str] = {}  # metrics that cannot be computed, and why
        for metric in self.metrics:
            self._prepare(METRICS[metric])
        self.obstacles = self.processes.told(self.obstacles)
        self.unseen = self.model.unseen_words([prompt.text for prompt in prompts])

    def _protocol(self) -> dict:
        """Everything but prompt, seed and scale that changes a pixel; checked on the way."""
        config, model = self.config, self.model
        height, width = config.height or model.height, config.width or model.width
        arguments.check_size(height, width, model.factor)
        arguments.check_scheduler(config.scheduler)
        arguments.check_guidance(config.guidance_schedule, config.guidance_interval, config.guidance_rescale)
        return {
            "weights": model.weights, "steps": config.steps or model.spec.steps,
            "scheduler": config.scheduler or model.scheduler_name, "height": height, "width": width,
            "dtype": str(model.dtype).removeprefix("torch."), "guidance_schedule": config.guidance_schedule,
            "guidance_interval": list(config.guidance_interval) if config.guidance_interval else None,
            "guidance_rescale": config.guidance_rescale, "negative_prompt": config.negative_prompt,
            "rows_per_call": 2 * config.batch_size if model.device.type == "cuda" else 16, "run_seed": config.seed,
        }  # fmt: skip

    def _prepare(self, metric: Metric) -> None:
        """Load what a metric needs. One asked for stops the command where it cannot be computed; a default is noted.

        Only what is asked for is downloaded.
        """
        asked_for = self.config.metrics is not None
        try:
            if why := self._obstacle(metric):
                raise ValueError(why)
            if metric.detector and metric.detector not in self.detectors:
                self.detectors[metric.detector] = self._detector(metric.detector, asked_for)
            if metric.kind == DISTANCE:
                self._prepare_reference(metric)
        except ValueError as error:
            if asked_for:
                raise ValueError(f"--metrics {metric.name} cannot be computed: {error}") from None
            self.obstacles[metric.name] = str(error)

    def _obstacle(self, metric: Metric) -> str | None:
        if metric.kind == AUTOENCODER:
            return reconstruct.obstacle(metric.name, self.model, self._photographs())
        return score.obstacle(metric.name, self.jobs)

    def _detector(self, name: str, download: bool) -> Detector:
        if name == "autoencoder":
            return reconstruct.AutoencoderDetector(self.model)
        return load_detector(name, self.config.resize, str(self.model.device), download)

    def _photographs(self) -> Path | None:
        """Real images for the autoencoder, where the reference is a folder of them."""
        source = self.config.reference
        return source if source is not None and source.is_dir() else None

    def _prepare_reference(self, metric: Metric) -> None:
        source, name = self.config.reference, metric.detector
        if not self.processes.first or (self.config.dry_run and source is not None and source.is_dir()):
            return  # one process measures; and to look at every image of a folder would take long
        if name not in self.references:
            self.references[name] = load_reference(
                self.detectors[name], source, self.out / "references" / f"{name}.npz"
            )
        if metric.statistic != "frechet" and self.references[name].features is None:
            raise ValueError(score.NO_FEATURES)

    def _check_folder(self) -> None:
        """The folder is new, or holds a run of this protocol; and it can be written."""
        known = self.out / "run.json"
        if known.exists():
            before = _stored_protocol(known)
            changed = [f"{key}: {before.get(key)} there, {value} now" for key, value in self.protocol.items()
                       if before.get(key) != value]  # fmt: skip
            if changed:
                raise ValueError(
                    f"--out {self.out} holds a run with another protocol ({'; '.join(changed)}); choose another folder"
                )
        parent = next(folder for folder in [self.out, *self.out.absolute().parents] if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise ValueError(f"--out {self.out} cannot be written: {parent} is no folder that is open to writing")

    def _say(self, words: str) -> None:
        if self.processes.first:
            print(words, flush=True)

    def describe(self, absent: Sequence[Job]) -> None:
        """Say what there is to do: `absent` is to be made."""
        protocol = self.protocol
        print(f"{len(self.prompts)} prompts x {self.config.images_per_prompt} seeds x {len(self.config.guidance_scales)} "
              f"scales = {len(self.jobs)} images, {len(self.jobs) - len(absent)} present, {len(absent)} to make")  # fmt: skip
        print(f"{protocol['steps']} steps of {protocol['scheduler']}, {protocol['width']} x {protocol['height']} pixels, "
              f"{protocol['dtype']} on {self.model.device}, {torch.get_num_threads()} threads; into {self.out}")  # fmt: skip
        if self.unseen:
            some = ", ".join(word for word, _ in self.unseen.most_common(8))
            print(f"{self._prompts_with_unseen()} of {len(self.prompts)} prompts hold words this model has never seen "
                  f"({len(self.unseen)} words: {some} ...); it draws what it knows of the rest")  # fmt: skip

    def rehearse(self) -> None:
        """Say what a run would do, how long it would take and what it would fill; write nothing."""
        absent = missing(self.jobs, self.images)
        if not self.processes.first:
            return
        self.describe(absent)
        if absent:
            seconds, size = estimate(self.model, self.jobs[: self.config.batch_size], self.protocol)
            total = datetime.timedelta(seconds=round(seconds * len(absent) / self.processes.count))
            print(
                f"about {total} to make them, at {seconds:.2f} s an image, and {size * len(absent) / 2**20:.0f} MiB of disk"
            )

    def carry_out(self) -> None:
        """Make what is missing, score all, write the tables and the reports; with others, each its share."""
        absent = self.processes.told(missing(self.jobs, self.images) if self.processes.first else [])
        if self.processes.first:
            self.describe(absent)
            self.images.mkdir(parents=True, exist_ok=True)
            report.write_whole(self.out / "run.json", json.dumps(self.facts(), indent=1))
        keys = ("steps", "height", "width", "guidance_schedule", "guidance_rescale", "negative_prompt", "rows_per_call")
        settings = {key: self.protocol[key] for key in keys}
        settings |= {"scheduler": self.config.scheduler, "guidance_interval": self.config.guidance_interval}
        if share := self.processes.share(absent):
            generate(self.model, share, self.images, self.config.batch_size, settings, self.processes)
        self.processes.meet()
        summary = self.score()
        if summary is None:
            return
        print("\n" + report.side_by_side(summary).to_string())
        absent = summary[summary["value"].isna()].drop_duplicates(["metric", "note"])
        for note, rows in absent.groupby("note", sort=False):
            print(f"{', '.join(rows['metric'])}: {note}")
        print(f"\nreport: {self.out / 'report.html'}")

    def score(self) -> pd.DataFrame | None:
        """Write every table and report from the images on disk; returns the summary. None in all but the first process,
        which the others help to look at the images."""
        table, features = job_table(self.jobs, self.images), {}
        computed = [metric for metric in self.metrics if metric not in self.obstacles]
        for name in detectors_of([metric for metric in computed if METRICS[metric].kind != AUTOENCODER]):
            detector = self.detectors[name]
            cache = cache_file(self.out, self.images.name, name, identity(detector.sha256, detector.resize))
            features[name], scores = look(self.jobs, self.images, cache, detector, self.processes)
            table = table.join(scores)
        if not self.processes.first:
            return None
        began = time.perf_counter()
        distances = score.measure_distances(table, features, self.references, computed)
        compared = [metric for metric in computed if METRICS[metric].kind != AUTOENCODER]
        compared_scales = differences(table, distances, compared)
        seconds = time.perf_counter() - began
        summary = self._summary(table, distances, computed)
        calls = {scale: self._calls(scale) for scale in self.config.guidance_scales}
        cost = cost_table(self.images, calls, seconds, summary)
        tables = {"summary": summary, "images": table, "differences": compared_scales, "cost": cost}
        for name, content in tables.items():
            report.write_whole(self.out / f"{name}.csv", content.to_csv(index=False, lineterminator="\n"))
        flat = [path.name for path in flat_images([self.images / job.file for job in self.jobs])]
        facts = self.facts() | {"flat_images": flat}
        report.write_whole(self.out / "run.json", json.dumps(facts, indent=1))
        report.write_whole(self.out / "report.md", report.markdown(summary, compared_scales, cost, facts))
        report.write_whole(
            self.out / "report.html", report.page(self.out, summary, table, compared_scales, cost, facts)
        )
        return summary

    def _summary(self, table: pd.DataFrame, distances: dict, computed: list[str]) -> pd.DataFrame:
        """A row per metric, scale and category; one with the reason for each metric that was not computed."""
        rows = [row for metric in self.metrics for row in self._rows(metric, table, distances)]
        of_autoencoder = [name for name in computed if METRICS[name].kind == AUTOENCODER]
        rows += reconstruct.score_autoencoder(self.model, of_autoencoder, self._photographs(), self.detectors)
        rows += score.score_ceilings(self.detectors, computed)
        for row in rows:
            detector = self.detectors.get(row["detector"])
            row |= {"detector": detector.name, "resize": detector.resize} if detector else {"resize": ""}
        return report.summary_table(rows, self.model.spec.name, self.config.prompts.name, self.config.guidance_schedule)

    def _rows(self, metric: str, table: pd.DataFrame, distances: dict) -> list[dict]:
        if metric in self.obstacles:
            return [score.row(metric, None, None, note=f"not computed: {self.obstacles[metric]}")]
        if METRICS[metric].kind == DISTANCE:
            return score.score_distance(distances, metric, self.detectors[METRICS[metric].detector].dimension)
        return score.score_images(table, metric) if METRICS[metric].kind == IMAGE else []

    def _calls(self, scale: float) -> int:
        """Network rows of one image by itself."""
        scheduler = make_scheduler(self.model.scheduler_config, self.config.scheduler)
        scheduler.set_timesteps(self.protocol["steps"])
        times = [time_of(scheduler, timestep) for timestep in scheduler.timesteps]
        schedule, interval = self.config.guidance_schedule, self.config.guidance_interval
        return sum(1 if guidance.weight(scale, t, schedule, interval) in (0, 1) else 2 for t in times)

    def _prompts_with_unseen(self) -> int:
        return sum(bool(self.model.unseen_words([prompt.text])) for prompt in self.prompts)

    def facts(self) -> dict:
        """What run.json holds: everything needed to repeat the run."""
        config, model = self.config, self.model
        return {
            "model": model.spec.name, "source": str(model.spec.source), "vae": config.vae, "prompts": config.prompts.name,
            "prompts_sha256": hashlib.sha256(config.prompts.read_bytes()).hexdigest(), "prompt_count": len(self.prompts),
            "image_count": len(self.jobs), "guidance_scales": list(config.guidance_scales), "protocol": self.protocol,
            "images_per_prompt": config.images_per_prompt, "processes": self.processes.count,
            "batch_size": config.batch_size, "metrics": list(self.metrics),
            "detectors": {name: {"name": detector.name, "sha256": detector.sha256, "resize": detector.resize}
                          for name, detector in self.detectors.items()},
            "references": {name: {"words": reference.words, **reference.protocol} for name, reference in self.references.items()},
            "not_computed": self.obstacles,
            "unseen_words": dict(self.unseen.most_common()), "prompts_with_unseen_words": self._prompts_with_unseen(),
            "truncated_by_detectors": {name: sum(detector.is_truncated(prompt.text) for prompt in self.prompts)
                                       for name, detector in self.detectors.items() if hasattr(detector, "is_truncated")},
            "truncated_prompts": sum(model.conditioner.is_truncated(prompt.text) for prompt in self.prompts),
            "device": str(model.device), "threads": torch.get_num_threads(), "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(), "versions": {name: version(name) for name in PACKAGES},
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }  # fmt: skip


def _stored_protocol(path: Path) -> dict:
    """The protocol of a run.json; ValueError where the file is none of ours."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["protocol"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise ValueError(f"--out {path.parent}: its {path.name} was not written by this command") from None
