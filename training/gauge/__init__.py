"""A measurement-system check of a bundle: does a photo keep its verdict when it is taken once more?"""
