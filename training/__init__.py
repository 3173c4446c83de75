"""How an inspector is made: photos, fine-tuning, fitting, limits, export, report."""
