"""What the four services share, in three rings: contract and rules, runtime, edges.

Imports point inwards only: ``edges`` may import ``runtime`` and ``contract``, ``runtime`` may import
``contract.lifecycle``, ``contract`` imports neither.
"""
