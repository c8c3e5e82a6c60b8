"""This package beside `xdk`, tweepy and launchdarkly-eventsource, on the faults of the catalogue.

    make side-by-side

One fault and one client make one measurement (`measure`): a simulator that plays the fault,
and the client in a process of its own (`child`), driven as its documentation shows
(`clients`). `page` writes down what was seen (`figures`).
"""
