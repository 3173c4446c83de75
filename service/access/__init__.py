"""Who may ask the service for what: API keys, their roles, and where the service may listen without them."""
