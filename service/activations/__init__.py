"""Which bundle of each part was put in place, when, and by whom."""
