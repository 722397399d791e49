"""Facts about dialogues and products: records, readers, the prepared store, batches, the simulator."""
