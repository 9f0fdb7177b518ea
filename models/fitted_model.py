"""The fold interface of models that are fitted at once instead of trained by epochs."""

import numpy as np
from torch import Tensor, nn


class FittedModel(nn.Module):
    """A module like any other (logits, state dict), whose weights come from one call of ``fit``."""

    def fit(self, views: Tensor, labels: np.ndarray, subjects: np.ndarray) -> None:
        """Set the weights from a fold's training clips.

        Args:
            views: float [V, N, 4, 3, H, W]; the ways in which each clip is seen, as stored first.
            labels: int [N].
            subjects: int [N], the subject of each clip; what is chosen inside the fold is chosen
                on subjects that the choice was not fitted on.
        """
        raise NotImplementedError
