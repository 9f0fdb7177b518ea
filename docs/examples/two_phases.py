"""causalnet_spatial on both phases, not summed: a method of the suite with other preparation."""

from models.causalnet.spatial import FrozenPlaces, features

__all__ = ["features"]

input = "maps"
preparation = {"affine": True, "rms": True}


def build(parts="cab", weights=""):
    return FrozenPlaces(parts, weights)
