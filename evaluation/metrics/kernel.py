"""Kernel distances of two sets of features: the squared maximum mean discrepancy. Float64.

Every pair of images is looked at: time goes with the square of their number, memory with the number itself (blocks.PAIRS).
"""

from __future__ import annotations

import numpy as np

from ..statistics import Jackknifed
from .blocks import Blocks, blocks_of, finite, portions

WIDTH = 10.0  # of cmmd's Gaussian; |x - y|^2 = 2 - 2 x.y for features of length one


class KernelReference:
    """A reference sample (m, d), and the squared maximum mean discrepancy to it (Gretton et al. 2012).

    kernel   x.y / d + 1 to the third, unbiased: the kernel distance of Binkowski et al. 2018. Its expectation is zero
             for equal distributions, so small negative values are right. Images of one prompt are not independent:
             pairs of them are left out too, or the distance would grow with their number.
    cmmd     a Gaussian of width 10 on features of length one, times 1000, every pair counted, a sample with itself too,
             as its authors do (Jayasumana et al. 2024).
    """

    def __init__(self, features: np.ndarray, statistic: str = "kernel"):
        self.statistic = statistic
        self.features = self._prepared(finite(features, "reference"))
        every, n = np.zeros(len(self.features), int), len(self.features)
        within = self._sums(self.features, self.features, every, every, np.arange(n))
        self.within = self._mean_within(within[0, 0], n, n)

    def distance(self, features: np.ndarray) -> float:
        """To features (n, d), each of a prompt of its own."""
        return self.leave_out(features, np.zeros(len(features), int))[0]

    def measure(self, features: np.ndarray, prompts: np.ndarray) -> Jackknifed | None:
        """The distance of features (n, d) of these prompts (n,), with what its error needs; None with too few prompts."""
        blocks = blocks_of(prompts)
        if blocks is None:
            return None
        whole, left_out = self.leave_out(features, blocks, prompts)
        return Jackknifed(whole, np.array(left_out), np.bincount(blocks), len(np.unique(prompts)))

    def leave_out(
        self, features: np.ndarray, blocks: Blocks, prompts: np.ndarray | None = None
    ) -> tuple[float, list[float]]:
        """The distance of all features (n, d), and with each block left out: every pair of blocks is summed once.

        prompts: of each image (n,), one prompt's all in one block; None where each has its own. NaN for images of one
        prompt alone.
        """
        features, counts = self._prepared(finite(features)), np.bincount(blocks)
        prompts = np.unique(np.arange(len(features)) if prompts is None else prompts, return_inverse=True)[1]
        within = self._sums(features, features, blocks, blocks, prompts)
        across = self._sums(features, self.features, blocks, np.zeros(len(self.features), int))[:, 0]
        sizes, block_of = np.bincount(prompts), np.zeros(int(prompts.max()) + 1, int)
        block_of[prompts] = blocks
        alike = np.bincount(block_of, weights=np.square(sizes), minlength=len(counts))  # pairs of one prompt, i = i too

        def of(kept: np.ndarray) -> float:
            n = int(counts[kept].sum())
            mean_across = across[kept].sum() / (n * len(self.features))
            mean_within = self._mean_within(within[np.ix_(kept, kept)].sum(), n, alike[kept].sum())
            value = mean_within + self.within - 2 * mean_across
            return float(1000 * value if self.statistic == "cmmd" else value)

        every = np.arange(len(counts))
        return of(every), [of(np.delete(every, block)) for block in every] if len(every) > 1 else []

    def _prepared(self, features: np.ndarray) -> np.ndarray:
        features = np.asarray(features, np.float64)
        return features / np.linalg.norm(features, axis=1, keepdims=True) if self.statistic == "cmmd" else features

    def _mean_within(self, total: float, n: int, alike: float) -> float:
        pairs = n**2 if self.statistic == "cmmd" else n**2 - alike
        return total / pairs if pairs > 0 else float("nan")

    def _sums(
        self, x: np.ndarray, y: np.ndarray, x_blocks: Blocks, y_blocks: Blocks, prompts: np.ndarray | None = None
    ) -> np.ndarray:
        """Kernel values summed over each pair of blocks; rows in portions, for memory. Within a sample, whose prompts are
        given, the unbiased kind leaves out pairs of one prompt."""
        of_x, of_y = (np.eye(blocks.max() + 1)[blocks] for blocks in (x_blocks, y_blocks))
        total = np.zeros((of_x.shape[1], of_y.shape[1]))
        for part in portions(len(x), len(y)):
            values = self._kernel(x[part], y)
            if prompts is not None and self.statistic == "kernel":
                values[prompts[part][:, None] == prompts[None, :]] = 0
            total += of_x[part].T @ values @ of_y
        return total

    def _kernel(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        values = x @ y.T  # worked in place: it is the largest thing in memory
        if self.statistic == "cmmd":
            values -= 1
            values /= WIDTH**2
            return np.exp(values, out=values)
        values /= x.shape[1]
        values += 1
        return np.power(values, 3, out=values)
