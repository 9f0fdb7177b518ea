"""Presets, one fold or several at once, the LOSO loop over a grid, and the run on disk."""
