"""Shadow runs: a candidate bundle judges what the active one has judged, and nobody is told but the page."""
