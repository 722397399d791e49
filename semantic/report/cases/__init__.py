"""What single turns say about finished runs: results by facet, two runs side by side, and forms for human judges.

Read `facets` first, which says what a query is like, then `analysis` (one run), `pairing` and `comparing` (two), and `form`,
`answers` and `judging` (people).
"""
