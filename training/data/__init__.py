"""From a folder of photos to labelled samples and their split into train, calibration and test."""
