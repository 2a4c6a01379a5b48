"""Before stage 2, where a world has many words: the text encoder learns to read, and is kept for every denoiser.

    python -m ldm_core.training.train_text_encoder scenes-cpu --out runs/scenes-text

The same command resumes; Ctrl-C saves first. When done, OUT/model holds text_encoder/ and tokenizer/, for
`train_denoiser --init`, and OUT/reading.csv says which facts it reads, those withheld from pictures apart.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .. import command
from ..placement import choose_device
from . import reading
from .command import add_run_options, run_command
from .config import TEXT_ENCODERS, TextEncoderConfig
from .corpus import Corpus, load_corpus
from .fact_reader import HEAD, load_head, read, save_head
from .folder import save_text_encoder
from .text_encoder import build_text_encoder
from .tokenizer import tokenizer_for
from .trainer import Trainer, averaged


def build(config: TextEncoderConfig, tokenizer: CLIPTokenizer, corpus: Corpus) -> nn.ModuleDict:
    """The untrained text encoder of a recipe, and the head by which it learns to tell facts."""
    head = nn.Linear(config.width, len(corpus.facts))
    nn.init.constant_(head.bias, -5.0)  # a caption states one fact in two hundred
    encoder = build_text_encoder(tokenizer, config.width, config.layers, config.tokens)
    return nn.ModuleDict({"text_encoder": encoder, "head": head})


def train(
    config: TextEncoderConfig,
    folder: Path,
    device: str,
    data_folder: Path | None = None,
    init: Path | None = None,
    minutes: float | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False). `init` is the folder of an earlier run's encoder, to go on from."""
    torch.manual_seed(config.seed)
    corpus = load_corpus(config.data, config.pool, 16, data_folder)
    tokenizer = tokenizer_for(corpus.words, config.tokens, folder, init)
    module = build(config, tokenizer, corpus)
    if init is not None:
        go_on_from(module, init)
    trainer = Trainer(module, config, folder, config.steps // 20, device, minutes)
    texts = to_be_judged(corpus, *((1_024, 256) if config.steps >= 100 else (16, 1)))

    def loss_of(step: int) -> Tensor:
        captions, stated = reading.captions_of(corpus, step)
        logits = module["head"](read(module, tokenizer, captions, device))
        return reading.misread(logits, stated.to(device))

    def sample(path: Path) -> None:
        """In place of a picture: what is read so far."""
        write_report(report(module, tokenizer, corpus, texts, device), folder / "reading.csv")

    finished = trainer.run(loss_of, sample)
    if finished:
        with averaged(trainer):
            save_text_encoder(folder / "model", module["text_encoder"], tokenizer, corpus.words)
            save_head(folder / "model" / HEAD, cast(nn.Linear, module["head"]))
    return finished


def go_on_from(module: nn.ModuleDict, folder: Path) -> None:
    """Give the module the weights of an earlier run's encoder, and of its head where that is kept."""
    earlier = CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32)
    try:
        module["text_encoder"].load_state_dict(earlier.state_dict())
        if (folder / HEAD).exists():
            load_head(folder / HEAD, cast(nn.Linear, module["head"]))
    except RuntimeError:
        raise ValueError(f"--init {folder} has another shape than this recipe builds") from None


def to_be_judged(corpus: Corpus, count: int = 1_024, withheld: int = 256) -> tuple[list[str], list[str]]:
    """Captions to judge the reading on: any, and further ones that tell of what no picture shows, which are rare."""
    further = (corpus.judged(index) for index in range(count, count + 200 * withheld))
    rare = itertools.islice((text for text in further if corpus.is_withheld(text)), withheld)
    return [corpus.judged(index) for index in range(count)], list(rare)


@torch.inference_mode()
def report(
    module: nn.ModuleDict, tokenizer: CLIPTokenizer, corpus: Corpus, texts: tuple[list[str], list[str]], device: str
) -> dict[str, tuple[int, float]]:
    """How many were judged, and the share that was right: captions with every fact right, any and those that tell of
    what no picture shows; then, of any caption, each sort of fact, of those that were stated or read."""
    rows: dict[str, tuple[int, float]] = {}
    for name, captions in zip(("captions", "captions of what no picture shows"), texts):
        parts = [captions[start : start + reading.BATCH] for start in range(0, len(captions), reading.BATCH)]
        logits = torch.cat([module["head"](read(module, tokenizer, part, device)) for part in parts])
        found, stated = logits.cpu() > 0, reading.facts_stated(corpus, captions).bool()
        rows[name] = (len(captions), float((found == stated).all(1).float().mean()))
        if name == "captions":
            by_sort = {f"facts: {sort}": tally for sort, tally in shares_by_sort(corpus, stated, found).items()}
    return rows | by_sort


def shares_by_sort(corpus: Corpus, stated: Tensor, found: Tensor) -> dict[str, tuple[int, float]]:
    """Of facts (B, F) of each sort: how many were stated or read, and the share that was both."""
    sorts = [corpus.sort_of(fact) for fact in corpus.facts]
    shares = {}
    for sort in dict.fromkeys(sorts):
        columns = [column for column, name in enumerate(sorts) if name == sort]
        either = int((stated[:, columns] | found[:, columns]).sum())
        shares[sort] = (either, int((stated[:, columns] & found[:, columns]).sum()) / max(1, either))
    return shares


def write_report(rows: dict[str, tuple[int, float]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["what", "count", "read"])
        writer.writerows([name, count, f"{share:.4f}"] for name, (count, share) in rows.items())


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.train_text_encoder", __doc__)
    add_run_options(parser, TEXT_ENCODERS)
    parser.add_argument(
        "--init", type=Path, default=None, metavar="FOLDER", help="the model/ of an earlier run: more steps for it"
    )

    def work(arguments: argparse.Namespace) -> bool:
        config, device = TEXT_ENCODERS[arguments.recipe], choose_device(arguments.device)
        return train(config, arguments.out, device, arguments.data, arguments.init, arguments.minutes)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
