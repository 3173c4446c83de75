"""Rendered surfaces, parts and defects: photos for which no camera was needed."""
