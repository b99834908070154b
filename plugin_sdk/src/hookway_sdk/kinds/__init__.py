"""The kinds of plugin, one file each."""
