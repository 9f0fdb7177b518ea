"""The classes of the field's usual protocol."""

CLASS_NAMES = ("negative", "positive", "surprise")
"""Class names of the MEGC2019 protocol; a class's number is its place."""
