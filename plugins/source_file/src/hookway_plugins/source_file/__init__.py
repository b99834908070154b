"""Resources from a YAML file, read strictly and again when it changes."""

from hookway_plugins.source_file.plugin import FileSource

__all__ = ["FileSource"]
