"""Kernel distances of two sets of features: the squared maximum mean discrepancy. Float64."""

from __future__ import annotations

import numpy as np

from .blocks import Blocks, portions

WIDTH = 10.0  # of cmmd's Gaussian; |x - y|^2 = 2 - 2 x.y for features of length one


class KernelReference:
    """A reference sample (m, d), and the squared maximum mean discrepancy to it (Gretton et al. 2012).

    kernel   x.y / d + 1 to the third, unbiased: the kernel distance of Binkowski et al. 2018. Its expectation is zero
             for equal distributions, so small negative values are right.
    cmmd     a Gaussian of width 10 on features of length one, times 1000, every pair counted, a sample with itself too,
             as its authors do (Jayasumana et al. 2024).
    """

    def __init__(self, features: np.ndarray, statistic: str = "kernel"):
        self.statistic = statistic
        self.features = self._prepared(features)
        every = np.zeros(len(self.features), int)
        self.within = self._mean_within(
            self._sums(self.features, self.features, every, every)[0, 0], len(self.features)
        )

    def distance(self, features: np.ndarray) -> float:
        """To features (n, d)."""
        return self.leave_out(features, np.zeros(len(features), int))[0]

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The distance of all features (n, d), and with each block left out: every pair of blocks is summed once."""
        features, counts = self._prepared(features), np.bincount(blocks)
        within = self._sums(features, features, blocks, blocks)
        across = self._sums(features, self.features, blocks, np.zeros(len(self.features), int))[:, 0]

        def of(kept: np.ndarray) -> float:
            n = int(counts[kept].sum())
            mean_across = across[kept].sum() / (n * len(self.features))
            value = self._mean_within(within[np.ix_(kept, kept)].sum(), n) + self.within - 2 * mean_across
            return float(1000 * value if self.statistic == "cmmd" else value)

        every = np.arange(len(counts))
        return of(every), [of(np.delete(every, block)) for block in every] if len(every) > 1 else []

    def _prepared(self, features: np.ndarray) -> np.ndarray:
        features = np.asarray(features, np.float64)
        return features / np.linalg.norm(features, axis=1, keepdims=True) if self.statistic == "cmmd" else features

    def _mean_within(self, total: float, n: int) -> float:
        return total / n**2 if self.statistic == "cmmd" else total / (n * (n - 1))

    def _sums(self, x: np.ndarray, y: np.ndarray, x_blocks: Blocks, y_blocks: Blocks) -> np.ndarray:
        """Kernel values summed over each pair of blocks; rows in portions, for memory. The unbiased kind leaves out i = i."""
        of_x, of_y = (np.eye(blocks.max() + 1)[blocks] for blocks in (x_blocks, y_blocks))
        total = np.zeros((of_x.shape[1], of_y.shape[1]))
        for part in portions(len(x)):
            values = self._kernel(x[part], y)
            if x is y and self.statistic == "kernel":
                values[np.arange(len(values)), np.arange(part.start, part.start + len(values))] = 0
            total += of_x[part].T @ values @ of_y
        return total

    def _kernel(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        products = x @ y.T
        return np.exp((products - 1) / WIDTH**2) if self.statistic == "cmmd" else (products / x.shape[1] + 1) ** 3
