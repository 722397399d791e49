"""The catalogue of a simulation: drawn garments with rendered photos, or the user's own folder.

Read `slots`, `words`, `garments` and `catalogue` first, then `drawing`, which draws products, and `photos` with
`patterns`, `shapes` and `sketch`, which renders them. `folder` reads the user's own catalogue.
"""
