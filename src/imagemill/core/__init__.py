"""The pure floor: what imagemill means, without I/O, clock or randomness.

Reading order: job, states, recipe, keys, retry, sheet. Everything here is a frozen struct or a
function of its arguments.
"""
