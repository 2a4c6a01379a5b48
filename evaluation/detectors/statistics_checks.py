"""What a mean, a covariance and features must be, whoever wrote them: finite, of one width, of a distribution."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_statistics(mean: Any, covariance: Any, features: Any) -> None:
    """ValueError unless these are a mean (d,) with its covariance (d, d), and features (n, d); each may be None."""
    for name, values in (("mu", mean), ("sigma", covariance), ("features", features)):
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} holds values that are not finite (NaN or infinity)")
    if mean is not None:
        if mean.ndim != 1 or not mean.size or covariance is None or covariance.shape != (mean.size, mean.size):
            shape = None if covariance is None else covariance.shape
            raise ValueError(f"mu {mean.shape} and sigma {shape} do not belong together")
        _check_covariance(covariance)
    if features is not None:
        if features.ndim != 2:
            raise ValueError(f"features must be (n, d), got {features.shape}")
        if mean is not None and features.shape[1] != mean.size:
            raise ValueError(f"features of width {features.shape[1]} beside mu of {mean.size} do not belong together")


def _check_covariance(covariance: np.ndarray) -> None:
    """ValueError where no distribution has this covariance, as far as that is seen without its eigenvalues."""
    variances = covariance.diagonal()
    if (variances < 0).any():
        raise ValueError(f"sigma has a negative variance, {variances.min():.3g}")
    largest = variances.max()
    if np.abs(covariance - covariance.T).max() > 1e-5 * largest:
        raise ValueError("sigma is not symmetric")
    spreads = np.sqrt(variances)
    if (np.abs(covariance) > np.outer(spreads, spreads) + 1e-5 * largest).any():
        raise ValueError("sigma holds a covariance larger than its variances allow")
