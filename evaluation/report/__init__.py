"""A results folder as one self-contained web page."""
