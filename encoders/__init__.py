"""Networks over tensors and `keep` masks; they know no dialogue and no file layout."""
