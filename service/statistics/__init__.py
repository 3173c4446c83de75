"""What the recorded inspections say of the line: trends with control limits, shares, where defects lie."""
