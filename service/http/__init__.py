"""The service's HTTP side; what it does with a photo is in `service.inspection`."""
