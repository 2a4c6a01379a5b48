"""One evaluation run: its folder, and the three acts generate, score, report."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import ldm_core

from .catalogue import DISTANCE, IMAGE, METRICS
from .config import RunConfig, choose_model
from .detectors.feature_cache import cache_file, flat_images, identity, job_table, look
from .generation import protocol
from .generation.cost import Spent, cost_table, estimate
from .generation.generate import generate, missing
from .generation.jobs import Job, list_jobs
from .generation.prompts import Prompt
from .generation.protocol import settings_of
from .instruments import Instruments
from .metrics import autoencoder as reconstruct
from .metrics import scoring as score
from .metrics.differences import differences
from .metrics.self_check import self_check
from .processes import Processes
from .report import page as report
from .report import tables
from .report.document import write_whole
from .report.page import Results


class Run:
    """A run that has been checked and can start: the model is loaded, the folder agrees, the metrics can be computed."""

    def __init__(self, config: RunConfig, prompts: Sequence[Prompt], processes: Processes | None = None):
        self_check()
        self.config, self.prompts, self.processes = config, prompts, processes or Processes()
        device = self.processes.device(config.device)
        name, why = choose_model(config.model, device)
        if self.processes.first:
            print(f"model: {name} ({why})", flush=True)
        self.model = ldm_core.load(
            name,
            device,
            config.dtype,
            config.vae,
            lora=config.lora,
            config=config.config,
            offload=config.offload,
            compiled=config.compile,
        )
        self.protocol = protocol.protocol_of(config, self.model)
        self.out = config.out or Path("runs") / f"{self.model.spec.name}-{config.prompts.stem}"
        protocol.check_folder(self.out, self.protocol)
        self.images = self.out / "images" / protocol.fingerprint(self.protocol)
        self.jobs = list_jobs(prompts, config.guidance_scales, config.images_per_prompt, config.seed)
        self.instruments = Instruments(config, self.model, self.jobs, self.out, self.processes)
        self.unseen = self.model.unseen_words([prompt.text for prompt in prompts])
        self.with_unseen = sum(bool(self.model.unseen_words([prompt.text])) for prompt in prompts)

    def describe(self, absent: Sequence[Job]) -> None:
        """Say what there is to do: `absent` is to be made."""
        made_by = self.protocol
        print(
            f"{len(self.prompts)} prompts x {self.config.images_per_prompt} seeds x {len(self.config.guidance_scales)} "
            f"scales = {len(self.jobs)} images, {len(self.jobs) - len(absent)} present, {len(absent)} to make"
        )
        print(
            f"{made_by['steps']} steps of {made_by['scheduler']}, {made_by['width']} x {made_by['height']} pixels, "
            f"{made_by['dtype']} on {self.model.device}, {torch.get_num_threads()} threads; into {self.out}"
        )
        if self.unseen:
            some = ", ".join(word for word, _ in self.unseen.most_common(8))
            print(
                f"{self.with_unseen} of {len(self.prompts)} prompts hold words this model has never seen "
                f"({len(self.unseen)} words: {some} ...); it draws what it knows of the rest"
            )

    def rehearse(self) -> None:
        """Say what a run would do, how long it would take and what it would fill; write nothing."""
        if not self.processes.first:
            return
        absent = missing(self.jobs, self.images)
        self.describe(absent)
        if absent:
            seconds, size = estimate(self.model, self.jobs[: self.config.batch_size], self.protocol)
            total = datetime.timedelta(seconds=round(seconds * len(absent) / self.processes.count))
            print(
                f"about {total} to make them, at {seconds:.2f} s an image, and {size * len(absent) / 2**20:.0f} MiB of disk"
            )

    def carry_out(self) -> Results | None:
        """Make what is missing, score all, write the tables and the reports; with others, each its share.

        The results, in the first process.
        """
        absent = self.processes.told(missing(self.jobs, self.images) if self.processes.first else [])
        facts = self.facts() if self.processes.first else {}
        if self.processes.first:
            self.describe(absent)
            self.images.mkdir(parents=True, exist_ok=True)
            self._keep_facts(facts)
        keys = ("steps", "height", "width", "guidance_schedule", "guidance_rescale", "negative_prompt", "rows_per_call")
        settings = {key: self.protocol[key] for key in keys}
        settings |= {name: getattr(self.config, name) for name in ("scheduler", "guidance_interval")}
        if share := self.processes.share(absent):
            generate(self.model, share, self.images, self.config.batch_size, settings, self.processes)
        self.processes.meet()
        table, features = self._look()
        if not self.processes.first:
            return None
        results = self._results(table, features, facts)
        self._report(results)
        return results

    def _look(self) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """The rows of images.csv with every score, and the features by detector; whole in the first process only."""
        table, features = job_table(self.jobs, self.images), {}
        for name, detector in self.instruments.looking.items():
            cache = cache_file(self.out, self.images.name, name, identity(detector.sha256, detector.resize))
            features[name], scores = look(self.jobs, self.images, cache, detector, self.processes)
            table = table.join(scores)
        return table, features

    def _results(self, table: pd.DataFrame, features: Mapping[str, np.ndarray], facts: dict) -> Results:
        """Every table, from what the detectors saw."""
        began, instruments = time.perf_counter(), self.instruments
        distances = score.measure_distances(table, features, instruments.references, instruments.computed)
        compared = differences(table, distances, instruments.of_images)
        flat = [path.name for path in flat_images([self.images / job.file for job in self.jobs])]
        own, network_seconds = reconstruct.score_autoencoder(
            self.model, instruments.of_autoencoder, instruments.photographs, instruments.detectors
        )
        rows = [row for metric in instruments.metrics for row in self._rows(metric, table, distances)]
        summary = self._summary(rows + own + score.score_ceilings(instruments.detectors, instruments.computed))
        calls = {scale: self._calls(scale) for scale in self.config.guidance_scales}
        spent = Spent(time.perf_counter() - began, network_seconds)
        return Results(
            summary, table, compared, cost_table(self.images, calls, spent, summary), facts | {"flat_images": flat}
        )

    def _rows(self, metric: str, table: pd.DataFrame, distances: dict) -> list[dict]:
        """A metric's row per scale and category; one with the reason where it was not computed."""
        instruments = self.instruments
        if metric in instruments.obstacles:
            return [score.row(metric, None, None, note=f"not computed: {instruments.obstacles[metric]}")]
        if METRICS[metric].kind == DISTANCE:
            return score.score_distance(distances, metric, instruments.detectors[METRICS[metric].detector].dimension)
        return score.score_images(table, metric) if METRICS[metric].kind == IMAGE else []

    def _summary(self, rows: list[dict]) -> pd.DataFrame:
        for row in rows:
            detector = self.instruments.detectors.get(row["detector"])
            row |= {"detector": detector.name, "resize": detector.resize} if detector else {"resize": ""}
        return tables.summary_table(rows, self.model.spec.name, self.config.prompts.name, self.config.guidance_schedule)

    def _calls(self, scale: float) -> int | None:
        """Network rows of one image by itself; None where that depends on the image."""
        return self.model.rows_alone(settings_of(self.config).replaced(guidance_scale=scale))

    def _report(self, results: Results) -> None:
        """Write the files, and say on the terminal what is in them."""
        for name in ("summary", "images", "differences", "cost"):
            content = getattr(results, name).to_csv(index=False, lineterminator="\n")
            write_whole(self.out / f"{name}.csv", content)
        self._keep_facts(results.facts)
        write_whole(self.out / "report.md", report.markdown(results))
        write_whole(self.out / "report.html", report.page(self.out, results))
        print("\n" + tables.side_by_side(results.summary).to_string())
        not_computed = results.summary[results.summary["value"].isna()].drop_duplicates(["metric", "note"])
        for note, rows in not_computed.groupby("note", sort=False):
            print(f"{', '.join(rows['metric'])}: {note}")
        print(f"\nreport: {self.out / 'report.html'}")

    def _keep_facts(self, facts: dict) -> None:
        write_whole(self.out / "run.json", json.dumps(facts, indent=1))

    def facts(self) -> dict:
        """What run.json holds: everything needed to repeat the run."""
        config, model = self.config, self.model
        return {
            "model": model.spec.name,
            "source": str(model.spec.source),
            "vae": config.vae,
            "lora": config.lora,
            "prompts": config.prompts.name,
            "prompts_sha256": hashlib.sha256(config.prompts.read_bytes()).hexdigest(),
            "prompt_count": len(self.prompts),
            "image_count": len(self.jobs),
            "guidance_scales": list(config.guidance_scales),
            "protocol": self.protocol,
            "images_per_prompt": config.images_per_prompt,
            "processes": self.processes.count,
            "batch_size": config.batch_size,
            **self.instruments.facts(self.prompts),
            "unseen_words": dict(self.unseen.most_common()),
            "prompts_with_unseen_words": self.with_unseen,
            "truncated_prompts": sum(model.conditioner.is_truncated(prompt.text) for prompt in self.prompts),
            "device": str(model.device),
            **protocol.machine(),
        }
