"""A simulated dialogue between a shopper with a hidden goal and an agent.

Read `search` first (criteria and belief state), then `sentences` and `phrases` (wording), `agenda` (the shopper),
`agent` and `conversation`.
"""
