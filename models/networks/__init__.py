"""The networks: trunk, classifier, PaDiM and the joint graph (torch)."""
