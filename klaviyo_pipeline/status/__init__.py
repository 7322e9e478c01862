"""The state of every table: is everything in, fresh, and free of errors?"""
