"""From rows as sources have them to one checked set of resources."""
