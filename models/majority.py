"""The class that most training clips have, whatever is seen: what any method has to beat.

The logits are the log of the classes' shares; the lower class number wins a tie.
"""

import numpy as np
import torch
from torch import Tensor, nn

from models.fitted_model import FittedModel


class MajorityClassifier(FittedModel):
    """One logit a class, the same for every clip.

    Args:
        classes: logits C.
    """

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        # Drawn until fitted, as every network's weights are before training.
        self.log_shares = nn.Parameter(torch.randn(classes))

    def fit(self, views: Tensor, labels: np.ndarray, subjects: np.ndarray) -> None:
        """See ``FittedModel``; a class without a clip counts as half a clip, for a finite log."""
        counts = np.bincount(labels, minlength=len(self.log_shares)).clip(min=0.5)
        with torch.no_grad():
            self.log_shares.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, 4, 3, H, W] -> logits [N, C]."""
        return self.log_shares.expand(len(maps), -1)
