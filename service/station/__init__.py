"""The operator's station: pages over what the service inspects, rendered and served with their assets."""
