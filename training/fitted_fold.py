"""A fold of a model that is fitted at once: the outcome of a trained network, of one epoch."""

import numpy as np

from models import create_model
from models.fitted_model import FittedModel
from training.configuration import Configuration
from training.fold_group import FoldOutcome, FoldTask, TrainingData, lone_logits


def fit_fold(
    configuration: Configuration,
    fold: FoldTask,
    data: TrainingData,
    subjects: np.ndarray,
    keep_weights: bool,
) -> FoldOutcome:
    """Fit the configuration's model on a fold's training clips.

    Args:
        subjects: int [N], the subject of every clip of ``data``.

    Raises:
        TypeError: the model is trained by epochs.
    """
    model = create_model(configuration.model, **configuration.settings)
    if not isinstance(model, FittedModel):
        raise TypeError(f"model {configuration.model} is not fitted at once")
    model.to(data.labels.device)
    train = fold.train_indices
    model.fit(data.views[:, train], data.labels[train].cpu().numpy(), subjects[train])
    logits = lone_logits(model, data.views[0, fold.test_indices])
    state = {name: value.cpu().clone() for name, value in model.state_dict().items()}
    return FoldOutcome(
        name=fold.name,
        logits=logits[np.newaxis],
        losses=np.zeros(1, dtype=np.float32),
        failed_epoch=None,
        weights=state if keep_weights else None,
    )
