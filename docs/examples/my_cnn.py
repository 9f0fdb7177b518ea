"""A small CNN with batch norm and dropout, as an example of a network of one's own."""

from torch import nn

preparation = {"center": True, "mirror": True, "scale": 0.0078125}
training = {"epochs": 20, "batch_size": 32, "learning_rate": 1e-3, "shuffle": True}


def build(classes):
    return nn.Sequential(
        nn.Flatten(1, 2),  # 4 maps of 3 channels -> 12 channels of 28 x 28 pixels
        nn.Conv2d(12, 16, kernel_size=3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(16 * 7 * 7, classes),
    )  # fmt: skip
