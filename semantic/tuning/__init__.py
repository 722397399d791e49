"""Hyper-parameter search by Optuna: trials are runs that train and validate; no test query is ranked."""
