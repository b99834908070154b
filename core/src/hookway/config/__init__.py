"""Reading configuration: files, variables, defaults, the root settings, and the state directory.

``yaml12`` and ``json_events`` read one document with the place of every value; ``interpolation`` puts
variables in; ``conf_d`` lays files over the defaults and the environment over the files; ``settings``
and ``plugin_entries`` say what may stand there; ``configuration`` does all of it and reports every
problem at once.
"""
