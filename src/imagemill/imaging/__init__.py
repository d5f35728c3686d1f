"""Sources become outputs here, in pool children only. `protocol` is all that the parent imports, so it never loads PIL.

Reading order: protocol, sniff, ladder, pixels, colour, encode; child and sandbox are the process around them.
"""
