"""This package compared with `xdk`, tweepy and launchdarkly-eventsource, on the faults of the catalogue.

    make side-by-side

A measurement (`measure`) is one fault and one client: the simulator plays the fault, and the client runs in
its own process (`child`), used as its documentation shows (`clients`). `page` shows the results (`figures`).
"""
