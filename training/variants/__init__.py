"""Other forms of the served graph, in numbers of fewer bits, and how far they agree with it."""
