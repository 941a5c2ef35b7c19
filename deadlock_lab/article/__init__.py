"""The article's patterns as published, ported with their faults: specimens to run and to look at.

Nothing here is for use; ``deadlock_lab.patterns`` has what is. One module a step of the article:
`cycle`, `reentry`, `set_context`, `timeout_race`, `tracker`, `resolver`.

A promise starts at once and anyone may await it again; so does a task, and a coroutine does
neither. Where the article relies on that, the ports use tasks.
"""
