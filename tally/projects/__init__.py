"""Projects in the store: names, heads, snapshots, batch ids, statistics of use, jobs.

It stands on `tally.store` alone and knows nothing of what a snapshot's bytes mean, so brokers
use it too. All rows of one project share one partition: a change, the ids of the requests that
it answers and their log are one commit, conditional on the head.
"""
