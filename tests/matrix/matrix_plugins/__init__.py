"""Plugins that drive the matrix: one small plugin for each thing that a real one may do."""
