"""What each kind of plugin promises, one test class a kind; a plugin's tests subclass the one of its kind.

The methods are the promises, and their names say them. A subclass names the class under test and gives
examples: ``hookway_sdk.testing`` shows how. A promise for which it gives no examples is skipped, so
``pytest -rs`` lists what a plugin has not shown.
"""
