"""The suite's version; a run records it."""

VERSION = "0.2.0"
