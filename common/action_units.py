"""The muscles that drawn motion moves and the AU network reads, in the order of its outputs."""

GAZE = "gaze"
"""Both eyes to the picture's right; it has no number."""
NAMES = {
    "1": "inner brow raiser",
    "2": "outer brow raiser",
    "4": "brow lowerer",
    "5": "upper lid raiser",
    "6": "cheek raiser",
    "7": "lid tightener",
    "9": "nose wrinkler",
    "10": "upper lip raiser",
    "12": "lip corner puller",
    "14": "dimpler",
    "15": "lip corner depressor",
    "17": "chin raiser",
    "24": "lip pressor",
    "26": "jaw drop",
    "45": "blink",
    GAZE: "eyes to the right",
}
"""Number in the Facial Action Coding System, and what the unit does."""
ACTION_UNITS = tuple(NAMES)
SIDES = (-1, 1)
"""The picture's left and right half."""
ACTIVATIONS = len(ACTION_UNITS) * len(SIDES)
"""Outputs of a network that reads every muscle: units in this order, each with both sides."""
GAZE_PLACE = ACTION_UNITS.index(GAZE)
