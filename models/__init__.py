"""What an inspector is: its networks, the bundle on disk, the photo path, the decision rule."""
