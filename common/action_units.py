"""The muscles that drawn motion moves and the AU network reads, in the order of its outputs."""

ACTION_UNITS = (
    *("1", "2", "4", "5", "6", "7", "9", "10", "12", "14", "15", "17", "24", "26", "45", "gaze"),
)
"""Numbers of the Facial Action Coding System; gaze, both eyes to the picture's right, has none."""
SIDES = (-1, 1)
"""The picture's left and right half."""
