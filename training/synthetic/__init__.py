"""Defects painted on photos of good parts, for a classifier to learn from before there are real ones."""
