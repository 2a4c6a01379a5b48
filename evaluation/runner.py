"""One evaluation run: its folder, its protocol, and the three acts generate, score, report."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch

import ldm_core
from ldm_core import arguments, guidance
from ldm_core.sampling import make_scheduler, time_of

from . import report, score
from .config import RunConfig, choose_model
from .differences import differences
from .generate import COST_LOG, generate, missing
from .jobs import list_jobs
from .look import cache_file, job_table, look
from .metrics.catalogue import AUTOENCODER, DEFAULTS, DISTANCE, METRICS, detectors_of
from .metrics.detectors import load_detector
from .prompts import Prompt
from .reference import load_reference

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "pandas", "scipy", "pillow")


class Run:
    """A run that has been checked and can start: the model is loaded, the folder agrees, the metrics can be computed."""

    def __init__(self, config: RunConfig, prompts: Sequence[Prompt]):
        self.config, self.prompts = config, prompts
        name, why = choose_model(config.model, config.device)
        print(f"model: {name} ({why})", flush=True)
        self.model = ldm_core.load(name, config.device, config.dtype, config.vae)
        self.metrics = config.metrics or DEFAULTS[self.model.spec.world or "scenes"]
        self.protocol = self._protocol()
        self.out = config.out or Path("runs") / f"{self.model.spec.name}-{config.prompts.stem}"
        self._check_folder()
        self.detectors = {name: load_detector(name) for name in detectors_of(self.metrics)}
        measured = detectors_of(self.metrics, DISTANCE)
        self.references = {name: load_reference(self.detectors[name], config.reference) for name in measured}
        fingerprint = hashlib.sha256(json.dumps(self.protocol, sort_keys=True).encode()).hexdigest()[:12]
        self.images = self.out / "images" / fingerprint
        self.jobs = list_jobs(prompts, config.guidance_scales, config.images_per_prompt, config.seed)
        for metric in config.metrics or ():
            if why := score.obstacle(metric, self.jobs):
                raise ValueError(f"--metrics {metric} cannot be computed: {why}")
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

    def describe(self) -> None:
        """Say what there is to do."""
        absent = missing(self.jobs, self.images)
        protocol = self.protocol
        print(f"{len(self.prompts)} prompts x {self.config.images_per_prompt} seeds x {len(self.config.guidance_scales)} "
              f"scales = {len(self.jobs)} images, {len(self.jobs) - len(absent)} present, {len(absent)} to make")  # fmt: skip
        print(f"{protocol['steps']} steps of {protocol['scheduler']}, {protocol['width']} x {protocol['height']} pixels, "
              f"{protocol['dtype']} on {self.model.device}, {torch.get_num_threads()} threads; into {self.out}")  # fmt: skip
        if self.unseen:
            some = ", ".join(word for word, _ in self.unseen.most_common(8))
            print(f"{self._prompts_with_unseen()} of {len(self.prompts)} prompts hold words this model has never seen "
                  f"({len(self.unseen)} words: {some} ...); it draws what it knows of the rest")  # fmt: skip

    def carry_out(self) -> None:
        """Make what is missing, score all, write the tables and the reports."""
        self.describe()
        absent = missing(self.jobs, self.images)
        self.images.mkdir(parents=True, exist_ok=True)
        report.write_whole(self.out / "run.json", json.dumps(self.facts(), indent=1))
        keys = ("steps", "height", "width", "guidance_schedule", "guidance_rescale", "negative_prompt", "rows_per_call")
        settings = {key: self.protocol[key] for key in keys}
        settings |= {"scheduler": self.config.scheduler, "guidance_interval": self.config.guidance_interval}
        if absent:
            generate(self.model, absent, self.images, self.config.batch_size, settings)
        summary = self.score()
        print("\n" + report.side_by_side(summary).to_string())
        for metric, note in summary[summary["value"].isna()].groupby("metric", sort=False)["note"].first().items():
            print(f"{metric}: {note}")
        print(f"\nreport: {self.out / 'report.html'}")

    def score(self) -> pd.DataFrame:
        """Write every table and report from the images on disk; returns the summary."""
        table, features = job_table(self.jobs, self.images), {}
        for name, detector in self.detectors.items():
            cache = cache_file(self.out, self.images.name, name, detector)
            features[name], scores = look(self.jobs, self.images, cache, detector)
            table = table.join(scores)
        distances = score.measure_distances(table, features, self.references, self.metrics)
        rows = [row for metric in self.metrics for row in self._rows(metric, table, distances)]
        rows += score.score_ceilings(self.detectors, self.metrics)
        for row in rows:
            detector = self.detectors.get(row["detector"])
            row |= {"detector": detector.name, "resize": detector.resize} if detector else {"resize": ""}
        summary = report.summary_table(
            rows, self.model.spec.name, self.config.prompts.name, self.config.guidance_schedule
        )
        compared = [metric for metric in self.metrics if METRICS[metric].kind != AUTOENCODER]
        compared_scales, cost = differences(table, distances, compared), self._cost()
        tables = {"summary": summary, "images": table, "differences": compared_scales, "cost": cost}
        for name, content in tables.items():
            report.write_whole(self.out / f"{name}.csv", content.to_csv(index=False, lineterminator="\n"))
        facts = self.facts()
        report.write_whole(self.out / "report.md", report.markdown(summary, compared_scales, cost, facts))
        report.write_whole(
            self.out / "report.html", report.page(self.out, summary, table, compared_scales, cost, facts)
        )
        return summary

    def _rows(self, metric: str, table: pd.DataFrame, distances: dict) -> list[dict]:
        kind = METRICS[metric].kind
        if kind == AUTOENCODER:
            return [score.score_autoencoder(self.model)]
        if kind == DISTANCE:
            return score.score_distance(distances, metric, self.detectors[METRICS[metric].detector].dimension)
        return score.score_images(table, metric)

    def _cost(self) -> pd.DataFrame:
        """What the images of each scale cost, over all sessions of this run."""
        log = self.images / COST_LOG
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        spent = pd.DataFrame([json.loads(line) for line in lines if line.endswith("}")],
                             columns=["guidance_scale", "images", "seconds", "peak_memory_gb"])  # fmt: skip
        total = spent.groupby("guidance_scale").agg({"images": "sum", "seconds": "sum", "peak_memory_gb": "max"})
        total = total.loc[[scale for scale in total.index if scale in self.config.guidance_scales]]
        total["images_per_second"] = total["images"] / total["seconds"]
        total["network_calls_per_image"] = [self._calls(scale) for scale in total.index]
        return total.reset_index()

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
            "images_per_prompt": config.images_per_prompt, "batch_size": config.batch_size, "metrics": list(self.metrics),
            "detectors": {detector.name: detector.sha256 for detector in self.detectors.values()},
            "references": {name: f"{config.reference or 'embedded'}, {len(features)} images"
                           for name, features in self.references.items()},
            "unseen_words": dict(self.unseen.most_common()), "prompts_with_unseen_words": self._prompts_with_unseen(),
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
