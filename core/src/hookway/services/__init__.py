"""The core's side of ``hookway_sdk.services``."""
