"""Pretraining of the trunk on rendered pictures."""
