"""What is done, and what came of it, for each row of the table of bad inputs.

The table is test_bad_inputs.py. A function that stands there is called with the place (place.py)
and returns what came back in words, or a dict of such words when the row has several cases.
"""
