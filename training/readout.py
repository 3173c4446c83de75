"""The linear read-out, fitted as a logistic regression before any other weight moves.

A read-out that fits the pretrained features first keeps fine-tuning from distorting them (Kumar et al.,
Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022).
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

Floats = npt.NDArray[np.floating[Any]]

# Inverse strengths of the L2 penalty to choose from, for features of unit variance.
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
_ITERATIONS = 300

# Of the weight of a class that has real and painted photos, this is the real ones'.
REAL_SHARE = 0.5


def fit_readout(
    readout: nn.Linear,
    train: Tensor,
    labels: Tensor,
    held_out: Tensor,
    truth: Tensor,
    painted: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Set the weights of `readout` to a logistic regression in which clean counts as much as all defects.

    The strength of the L2 penalty is the one with the lowest log loss on the held-out features.

    Args:
        readout: [D] features to [C] logits.
        train: float [N, D]; standardised inside, and the scale folded into the weights.
        labels: int64 [N], 0 for clean; each of the C classes occurs.
        held_out, truth: features float [M, D] and labels int64 [M] to choose the strength on.
        painted: bool [N], which of the N have a painted defect; None for none.
    """
    features = train.numpy().astype(np.float32)
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    features = (features - centre) / spread
    judged = (held_out.numpy().astype(np.float32) - centre) / spread
    # Two threads on so small a matrix mostly wait for each other.
    with threadpool_limits(1):
        weights = balanced_weights(labels.numpy(), painted)
        fits = [_fit(features, labels.numpy(), weights, strength) for strength in _STRENGTHS]
    losses = [_loss(fit, judged, truth.numpy()) for fit in fits]
    best = fits[int(np.argmin(losses))]
    coefficients, offsets = best.coef_, best.intercept_
    if len(coefficients) == 1:
        # Of two classes the library keeps the second one's logit alone.
        coefficients, offsets = np.stack([0 * coefficients[0], coefficients[0]]), np.array([0.0, offsets[0]])
    weight = coefficients / spread
    with torch.no_grad():
        readout.weight.copy_(torch.from_numpy(weight))
        readout.bias.copy_(torch.from_numpy(offsets - weight @ centre))


def _fit(
    features: Floats, labels: npt.NDArray[np.int64], weights: Floats, strength: float
) -> LogisticRegression:
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        # A penalised fit that is cut short serves as well as one carried to the last digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels, sample_weight=weights)


def _loss(model: LogisticRegression, features: Floats, labels: npt.NDArray[np.int64]) -> float:
    probabilities = model.predict_proba(features)
    return float(
        log_loss(labels, probabilities, sample_weight=balanced_weights(labels), labels=model.classes_)
    )


def balanced_weights(labels: npt.NDArray[np.int64], painted: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Weights of photos, of mean 1: half for clean, the other half shared alike by the defect classes.

    In a class that has both, the few real photos count `REAL_SHARE` and the many painted ones the rest.
    """
    classes = np.unique(labels)
    defects = max(1, int((classes > 0).sum()))
    drawn = np.zeros(len(labels), dtype=bool) if painted is None else painted
    weights = np.zeros(len(labels))
    for label in classes:
        share = 0.5 if label == 0 else 0.5 / defects
        real, extra = (labels == label) & ~drawn, (labels == label) & drawn
        of_real = REAL_SHARE if real.any() and extra.any() else float(real.any())
        weights[real] = share * of_real / max(1, real.sum())
        weights[extra] = share * (1 - of_real) / max(1, extra.sum())
    return np.asarray(weights / weights.mean())
