"""From a store to shards: which examples a run sees, the candidates it draws, batches built ahead, arrays computed once."""
