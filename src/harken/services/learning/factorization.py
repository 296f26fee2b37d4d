"""Matrix factorization: implicit ALS, fitted by the library `implicit`.

Fitting needs the extra `learning`. A fitted model needs NumPy only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from harken.errors import MissingExtra
from harken.services.learning.interaction_matrix import Floats, Interactions, Numbers
from harken.services.learning.neighbours import check_array


@dataclass(frozen=True)
class Factors:
    """iALS: Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets, 2008.

    An interaction of weight w has the confidence 1 + (confidence − 1) · w; a missing one has 1.
    `factors` has the shape items × factors, `gram` is factorsᵀ · factors + λI.
    """

    name: ClassVar[str] = "factors"
    factors: Floats
    gram: Floats
    confidence: float

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        factors: int = 64,
        regularization: float = 30.0,
        confidence: float = 4.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> Self:
        """Fit the factors; raises MissingExtra if `implicit` is not installed."""
        try:
            from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 — an extra
            from scipy.sparse import csr_matrix  # noqa: PLC0415
            from threadpoolctl import threadpool_limits  # noqa: PLC0415
        except ImportError:
            raise MissingExtra("Factorization", "learning") from None
        believed = 1 + (confidence - 1) * interactions.weights
        shape = (interactions.users, len(interactions.items))
        matrix = csr_matrix((believed, interactions.columns, interactions.starts), shape)
        with threadpool_limits(1, "blas"):  # the library starts its own threads
            model = AlternatingLeastSquares(
                factors, regularization=regularization, alpha=1.0, iterations=iterations,
                use_cg=False, random_state=seed,
            )  # fmt: skip
            model.fit(matrix, show_progress=False)
        found = np.asarray(model.item_factors, np.float32)
        gram = found.T @ found + regularization * np.eye(found.shape[1], dtype=np.float32)
        return cls(found, gram, confidence)

    def scores(self, items: Numbers, weights: Floats) -> Floats:
        """Return a score for each item (shape: items): one ALS step for this reader only."""
        theirs, believed = self.factors[items], 1 + (self.confidence - 1) * weights
        system = self.gram + (theirs.T * (believed - 1)) @ theirs
        reader = np.linalg.solve(system, theirs.T @ believed)
        scores: Floats = self.factors @ reader
        return scores

    def similar(self, item: int) -> Floats:
        """Return the cosine of each item's factors with this item's (shape: items)."""
        length = np.maximum(np.linalg.norm(self.factors, axis=1), 1e-9)
        alike: Floats = self.factors @ self.factors[item] / (length * length[item])
        alike[item] = 0.0
        return alike

    def arrays(self) -> dict[str, Any]:
        """Return the model's arrays by name."""
        confidence = np.array([self.confidence])
        return {"factors": self.factors, "gram": self.gram, "confidence": confidence}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], items: int) -> Self:
        """Restore a model from its arrays; raises ValueError or KeyError if they do not fit."""
        factors = check_array(arrays["factors"], np.float32, (items, None))
        gram = check_array(arrays["gram"], np.float32, (factors.shape[1],) * 2)
        confidence = check_array(arrays["confidence"], np.float64, (1,))
        return cls(factors, gram, float(confidence[0]))
