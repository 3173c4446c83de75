"""The report of a bundle: one HTML file that an engineer looks at and signs off."""

from training.report.page import write_report

__all__ = ["write_report"]
