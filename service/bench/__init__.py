"""`glint bench`: how fast a bundle is on this machine, by itself and through HTTP."""
