"""A catalogue to shop in: drawn garments with photos, or a folder of real ones."""
