"""The prepared store on disk: memory-mapped arrays and tables of products, dialogues and examples.

Read `store` first, which opens it, then `arrays`, which writes its files, and `splits`, which draws folds and labelled
subsets.
"""
