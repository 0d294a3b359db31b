"""What the four services share, in three rings: contract, runtime, edges.

Imports point inwards only: ``edges`` may import ``runtime`` and ``contract``, ``runtime`` may import ``contract``,
``contract`` imports neither.
"""
