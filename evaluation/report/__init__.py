"""A results folder as one self-contained web page with its pictures beside it."""
